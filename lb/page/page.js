"use strict";
// Everything that comes from the controller reaches the page as text nodes and numbers, never as markup.

const POLL_MS = 2000, HISTORY_MS = 5000, GAP_S = 30, SHORTEST_S = 120, HEIGHT = 140, BETWEEN = 24, TWO_FROM = 720, MOST_POINTS = 3000;
const RANGES = { "15 min": 900, "1 h": 3600, "6 h": 21600, "24 h": 86400 };
const COMING = ["pending", "starting"], LEAVING = ["draining"], LOST = ["unready", "failed"];
const STATES = ["ready", ...COMING, ...LEAVING, ...LOST];
const $ = (id) => document.getElementById(id);
const page = { token: "", range: "1 h", status: null, points: [], since: 0, heard: 0, cursor: null };

// ---------------------------------------------------------------- elements

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) made[key] = value;
  made.append(...children.filter((c) => c !== null && c !== ""));
  return made;
}

function drawn(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// ---------------------------------------------------------------- words

const usd = (x) => (x === null || x === undefined ? "?" : "$" + x.toFixed(x >= 100 ? 0 : 2));
const ms = (x) => (x >= 1000 ? (x / 1000).toFixed(1) + " s" : Math.round(x) + " ms");
const plain = (x) => (x >= 100 || Number.isInteger(x) ? String(Math.round(x)) : x.toFixed(x >= 10 ? 1 : 2));
const two = (n) => String(n).padStart(2, "0");

function clock(at, seconds = false) {
  const d = new Date(at * 1000);
  return two(d.getHours()) + ":" + two(d.getMinutes()) + (seconds ? ":" + two(d.getSeconds()) : "");
}

function ago(seconds) {
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]])
    if (seconds >= 2 * length) return Math.floor(seconds / length) + " " + unit;
  return Math.max(0, Math.round(seconds)) + " s";
}

// ---------------------------------------------------------------- charts

function niceStep(most, parts) {
  const rough = Math.max(most, 1e-9) / parts, power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((m) => m * power >= rough) ?? 10);
}

/** Pixels that a chart has: one per pixel of the screen, so that its text is as large as the page's. */
function widthOf(wide) {
  const section = $("cost").clientWidth;
  return Math.max(240, wide || section < TWO_FROM ? section : (section - BETWEEN) / 2);
}

/** A frame with axes; `most` is the largest value, `paint` draws with the scales. Returns the element. */
function chart({ title, points, most, whole = false, format = plain, legend, tell, paint, wide = false }) {
  const W = widthOf(wide), height = HEIGHT + (wide ? 30 : 0), left = 54, right = 6, top = 8, bottom = 20;
  const to = Math.max(page.status.written_at, points.at(-1)?.at ?? 0);
  const span = Math.min(RANGES[page.range], Math.max(SHORTEST_S, to - (points[0]?.at ?? to))), from = to - span;
  let step = niceStep(most || 1, 3);
  if (whole) step = Math.max(1, Math.round(step));
  const ceiling = Math.max(step, Math.ceil((most || 0) / step - 1e-9) * step);
  const x = (at) => left + ((Math.max(from, at) - from) / (to - from)) * (W - left - right);
  const y = (value) => height - bottom - (value / ceiling) * (height - top - bottom);
  const svg = drawn("svg", { viewBox: `0 0 ${W} ${height}`, width: W, height, role: "img" });
  svg.append(drawn("title", {}, title));
  for (let value = 0; value <= ceiling + 1e-9; value += step) {
    svg.append(drawn("line", { class: "grid", x1: left, x2: W - right, y1: y(value), y2: y(value) }));
    svg.append(drawn("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, format(value)));
  }
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const at = from + part * (to - from), anchor = part === 0 ? "start" : part === 1 ? "end" : "middle";
    svg.append(drawn("text", { x: x(at), y: height - 5, "text-anchor": anchor }, clock(at, span < 900)));
  }
  paint({ svg, x, y });
  const below = element("div", { className: "legend" }, ...legend);
  const cursor = drawn("line", { class: "cursor", y1: top, y2: height - bottom, visibility: "hidden" });
  svg.append(cursor);
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const at = from + (((event.clientX - box.left) / box.width) * W - left) / (W - left - right) * (to - from);
    const near = points.reduce((a, p) => (a && Math.abs(a.at - at) <= Math.abs(p.at - at) ? a : p), null);
    if (!near) return;
    cursor.setAttribute("x1", x(near.at));
    cursor.setAttribute("x2", x(near.at));
    cursor.setAttribute("visibility", "visible");
    below.replaceChildren(element("span", {}, clock(near.at, true)), ...tell(near).map((t) => element("span", {}, t)));
  });
  svg.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    below.replaceChildren(...legend);
  });
  return element("div", { className: wide ? "wide" : "" }, element("h3", {}, title), svg, below);
}

function key(label, shape) {
  return element("span", {}, drawn("svg", { viewBox: "0 0 10 10" }, shape), label);
}
const swatch = (name) => drawn("rect", { class: name, width: 10, height: 10, rx: 2 });
const stroke = (name) => drawn("path", { class: "series " + name, d: "M0 5H10" });

/** The lines of a few values over time; a gap in the points, or a missing value, is a gap in the line. */
function lines(title, points, series, format, wide = false) {
  const values = points.flatMap((p) => series.map((s) => s.of(p)).filter((v) => v !== null));
  return chart({
    title, points, format, wide, most: Math.max(0, ...values),
    legend: series.map((s) => key(s.label, stroke(s.style))),
    tell: (p) => series.map((s) => s.label + " " + (s.of(p) === null ? "?" : format(s.of(p)))),
    paint: ({ svg, x, y }) => {
      for (const s of series) {
        let path = "", last = null;
        for (const p of points) {
          const value = s.of(p);
          if (value !== null) path += (last && p.at - last < gap(points) ? "L" : "M") + x(p.at).toFixed(1) + " " + y(value).toFixed(1);
          last = value === null ? null : p.at;
        }
        if (path) svg.append(drawn("path", { class: "series " + s.style, d: path }));
      }
    },
  });
}

const gap = (points) => Math.max(GAP_S, points.length > 1 && points[1].at - points[0].at > GAP_S ? 150 : 0);
const kind = (state) => (COMING.includes(state) ? "coming" : LEAVING.includes(state) ? "leaving" : LOST.includes(state) ? "lost" : "");

/** Replicas stacked by place, and in a place by state; the dashed line is how many should be ready. */
function replicas(name, points) {
  const found = points.map((p) => ({ at: p.at, service: p.services.find((s) => s.name === name) ?? { desired: 0, groups: [] } }));
  const places = [...new Set(found.flatMap((p) => p.service.groups.map((g) => g.place + " " + g.market)))].sort();
  const count = (p, place, states) =>
    p.service.groups.reduce((n, g) => n + (g.place + " " + g.market === place && states.includes(g.state) ? g.count : 0), 0);
  const bands = places.flatMap((place, n) => STATES.map((state) => ({ place, state, style: `a${n % 8} ${kind(state)}` })));
  const total = (p) => p.service.groups.reduce((n, g) => n + g.count, 0);
  const seen = (states) => found.some((p) => p.service.groups.some((g) => states.includes(g.state)));
  const states = [["coming up", "a0 coming", COMING], ["draining", "a0 leaving", LEAVING], ["unready or failed", "lost", LOST]].filter((s) => seen(s[2]));
  return chart({
    title: "replicas by place and state", points: found, whole: true, wide: true,
    most: Math.max(1, ...found.map((p) => Math.max(total(p), p.service.desired))),
    legend: [...places.map((place, n) => key(place.replace(" spot", ""), swatch("a" + (n % 8)))),
      ...states.map(([label, style]) => key(label, swatch(style))),
      key("should be ready", drawn("path", { class: "target", d: "M0 5H10" }))],
    tell: (p) => [...places.flatMap((place) => STATES.filter((s) => count(p, place, [s])).map((s) => `${place}: ${count(p, place, [s])} ${s}`)),
      p.service.desired + " should be ready"],
    paint: ({ svg, x, y }) => {
      const edge = (n) => x(n + 1 < found.length && found[n + 1].at - found[n].at < gap(found) ? found[n + 1].at : found[n].at + 5);
      const floor = found.map(() => 0);
      for (const band of bands) {
        let path = "";
        found.forEach((p, n) => {
          const high = count(p, band.place, [band.state]);
          if (high) path += `M${x(p.at).toFixed(1)} ${y(floor[n]).toFixed(1)}V${y(floor[n] + high).toFixed(1)}H${edge(n).toFixed(1)}V${y(floor[n]).toFixed(1)}Z`;
          floor[n] += high;
        });
        if (path) svg.append(drawn("path", { class: band.style, d: path }));
      }
      const target = found.map((p, n) => `M${x(p.at).toFixed(1)} ${y(p.service.desired).toFixed(1)}H${edge(n).toFixed(1)}`);
      svg.append(drawn("path", { class: "target", d: target.join("") }));
    },
  });
}

// ---------------------------------------------------------------- sections

function tile(label, value, note = "", style = "") {
  return element("div", {}, element("span", { className: "quiet" }, label), element("b", { className: style }, value), element("span", { className: "quiet" }, note));
}

function tiles({ services, spend, usd_hour, controller, generation }) {
  const budget = spend?.budget_usd, share = budget ? spend.usd / budget : 0;
  const money = spend
    ? tile("month to date", usd(spend.usd), budget ? `of ${usd(budget)}, ${Math.round(share * 100)} %` : "no monthly budget", share >= 1 ? "bad" : share > 0.8 ? "warn" : "")
    : null;
  const ready = services.reduce((n, s) => n + s.ready, 0), desired = services.reduce((n, s) => n + s.desired, 0);
  return [
    tile("replicas ready", `${ready} of ${desired}`, services.length + (services.length === 1 ? " service" : " services"), ready < desired ? "warn" : "good"),
    tile("now", usd(usd_hour) + " / h", usd(usd_hour * 730) + " in a month like this"), money,
    tile("last tick", controller.last_tick_age_s === null ? "none yet" : controller.last_tick_age_s.toFixed(1) + " s ago", "desired state " + (generation ?? "unknown")),
  ].filter(Boolean);
}

function rollout(r) {
  if (!r) return null;
  const bad = ["back", "failed", "aborted"].includes(r.phase);
  return element("p", { className: "rollout" }, element("span", { className: bad ? "bad" : r.phase === "done" ? "quiet" : "warn" }, `update ${r.phase}: `),
    r.phase === "done" ? null : element("progress", { max: r.total || 1, value: r.updated }),
    element("span", { className: "quiet" }, ` ${r.updated} of ${r.total} on ${(bad ? r.from_bundle : r.to_bundle).slice(0, 12)}, since ${clock(r.started_at, true)}${r.reason ? ": " + r.reason : ""}`));
}

function table(service, now) {
  const columns = ["replica", "zone", "market", "state", "for", "$/h", "why"];
  const style = { ready: "good", unready: "bad", failed: "bad", draining: "warn" };
  const rows = service.replicas.map((r) => element("tr", {}, element("td", {}, r.nodes > 1 ? `${r.id} x${r.nodes}` : r.id), element("td", {}, r.zone ?? r.region), element("td", {}, r.market),
    element("td", { className: style[r.state] ?? "" }, r.state), element("td", {}, ago(now - r.since)), element("td", { className: "number" }, r.usd_hour === null ? "?" : r.usd_hour.toFixed(2)),
    element("td", { className: "reason" }, r.reason)));
  const open = document.querySelector(`details[data-service="${CSS.escape(service.name)}"]`)?.open ?? service.replicas.length <= 12;
  const details = element("details", { open }, element("summary", { className: "quiet" }, `${service.replicas.length} replica${service.replicas.length === 1 ? "" : "s"}`),
    element("div", { className: "scroll" }, element("table", {}, element("tr", {}, ...columns.map((c) => element("th", { className: c === "$/h" ? "number" : "" }, c))), ...rows)));
  details.dataset.service = service.name;
  return details;
}

function serviceSection(service, points, now) {
  const of = (field) => (p) => p.services.find((s) => s.name === service.name)?.[field] ?? null;
  const t = service.traffic, limits = service.max_replicas === null ? "" : `, ${service.min_replicas} to ${service.max_replicas}`;
  const told = points.some((p) => of("qps")(p) !== null);
  const traffic = t && t.qps !== null ? `${plain(t.qps)} requests/s, ${t.active ?? "?"} active${t.held ? `, ${t.held} held` : ""}` : "";
  return element("section", {},
    element("div", { className: "head" }, element("h2", {}, service.name),
      element("span", { className: service.ready < service.desired ? "warn" : "good" }, `${service.ready} of ${service.desired} ready${limits}`),
      element("span", {}, traffic), element("span", { className: "quiet" }, service.endpoint),
      element("span", { className: "quiet" }, service.usd_month === null ? "" : usd(service.usd_month) + " this month")),
    rollout(service.rollout),
    element("div", { className: "charts" }, replicas(service.name, points),
      told ? lines("requests per second", points, [{ label: "arrived", style: "s0", of: of("qps") }, { label: "failed", style: "s-bad", of: of("failed_per_s") }], plain) : "",
      told ? lines("time to first token", points, [{ label: "p50", style: "s0", of: of("ttft_p50_ms") }, { label: "p95", style: "s1", of: of("ttft_p95_ms") }], ms) : ""),
    told ? null : element("p", { className: "quiet" }, "No edge has told of its traffic yet."),
    table(service, now));
}

function draw() {
  const { status } = page;
  if (!status || document.querySelector("svg:hover")) return; // who reads a value keeps it
  const now = status.written_at, c = status.controller;
  const points = thinned(page.points.filter((p) => p.at > now - RANGES[page.range]));
  $("main").hidden = false;
  $("controller").className = c.frozen || !c.leader ? "warn" : "good";
  $("controller").textContent = c.frozen ? "frozen: changes nothing" : c.leader ? "leading" : "waiting: another controller leads";
  const banner = c.frozen ? "Frozen, so nothing is launched or ended: " + c.frozen : status.spend?.exhausted ? "Nothing more may be spent: " + status.spend.exhausted : "";
  say(banner);
  $("money").replaceChildren(...tiles(status));
  $("services").replaceChildren(...status.services.map((s) => serviceSection(s, points, now)));
  $("cost").replaceChildren(lines("USD per hour", points, [{ label: "USD per hour", style: "s0", of: (p) => p.usd_hour }], usd, true));
  $("reasons").replaceChildren(...(status.reasons.length ? status.reasons : ["none in this term"]).map((r) => element("li", {}, r)));
}

/** At most as many points as can be told apart on the screen. */
function thinned(points) {
  const every = Math.ceil(points.length / 360);
  return every <= 1 ? points : points.filter((_, n) => n % every === 0 || n === points.length - 1);
}

// ---------------------------------------------------------------- the controller

function say(text) {
  $("banner").textContent = text;
  $("banner").hidden = !text;
}

async function ask(path) {
  const answer = await fetch(path, { headers: { authorization: "Bearer " + page.token }, cache: "no-store", redirect: "error" });
  if (answer.status === 401) throw new Error("401");
  if (!answer.ok) throw new Error("it answers " + answer.status);
  return answer.json();
}

async function look() {
  const started = Date.now();
  try {
    page.status = await ask("/v1/status");
    if (started - page.heard >= HISTORY_MS) {
      // The controller's own picture of a day is coarser, and shorter: a page that is open for hours begins anew with it.
      if (page.points.length > MOST_POINTS) [page.points, page.since] = [[], 0];
      const fresh = (await ask("/v1/history?since=" + page.since)).points;
      page.points = page.points.concat(fresh);
      page.since = page.points.at(-1)?.at ?? 0;
      page.heard = started;
    }
    draw();
  } catch (error) {
    if (error.message === "401") return login("That is not this controller's token.");
    $("controller").className = "bad";
    $("controller").textContent = "does not answer";
    say(`The controller does not answer (${error.message}). ` + (page.status ? `This is what it said at ${clock(page.status.written_at, true)}; ` : "") + "replicas and edges run on without it.");
  }
  setTimeout(look, POLL_MS);
}

function login(complaint = "") {
  sessionStorage.removeItem("token");
  $("main").hidden = true;
  $("login").hidden = false;
  $("controller").className = "";
  $("controller").textContent = "";
  say(page.token ? complaint : "");
  $("token").focus();
}

function enter(token) {
  page.token = token.trim();
  sessionStorage.setItem("token", page.token);
  $("login").hidden = true;
  say("");
  look();
}

for (const range of Object.keys(RANGES)) {
  const button = element("button", { type: "button", textContent: range, onclick: () => choose(range) });
  $("ranges").append(button);
}
function choose(range) {
  page.range = range;
  for (const button of $("ranges").children) button.setAttribute("aria-pressed", String(button.textContent === range));
  draw();
}
choose(page.range);
addEventListener("resize", draw);
$("login").addEventListener("submit", (event) => {
  event.preventDefault();
  enter($("token").value);
  $("token").value = "";
});
const brought = new URLSearchParams(location.hash.slice(1)).get("token");
if (location.hash) history.replaceState(null, "", location.pathname); // before anybody looks over a shoulder
const known = brought ?? sessionStorage.getItem("token");
known ? enter(known) : login();
