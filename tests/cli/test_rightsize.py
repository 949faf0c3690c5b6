import ctypes
import json

import pytest
import typer
from typer.testing import CliRunner

from catalog.throughput import COLUMNS
from cli import plan, rightsize
from cli.context import Context
from planner.rightsize import NoMix
from spec.errors import InputError, SpecError

SMALL = """\
name: small
resources:
  accelerators: {L4:1, A10G:1, L40S:1, A100-80GB:1, H100:1}
  use_spot: true
  ports: 8000
service: {readiness_probe: /health, replica_policy: {min_replicas: 1, max_replicas: 2}}
run: vllm serve meta-llama/Llama-3.1-8B-Instruct --port 8000
"""
LOAD = [
    "--qps",
    "20",
    "--prompt-tokens",
    "1000",
    "--output-tokens",
    "200",
    "--ttft-ms",
    "1000",
    "--tpot-ms",
    "60",
]
MINE = "Llama-3-8B,bf16,L4,1,40000,9000,64,1000,200,128,measured,vllm,2026-11-02,https://example.org/run,ours"


@pytest.fixture
def tw():
    app = typer.Typer()
    plan.register(app)
    return lambda *words: CliRunner().invoke(app, [str(w) for w in words])


def services(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["services"]


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "mine.csv").write_text(",".join(COLUMNS) + "\n" + MINE + "\n")


def test_every_place_says_what_tokens_cost_and_how_that_is_known(tw, small):
    (service,) = services(tw(small, "--json"))
    known = {(r["accelerator"], r["throughput"]) for r in service["rows"]}
    assert ("L4", "estimated") in known
    assert all(r["usd_per_million_tokens"] > 0 for r in service["rows"])
    h100 = [
        r["usd_per_million_tokens"] / r["price_usd_hour"]
        for r in service["rows"]
        if r["accelerator"] == "H100"
    ]
    assert max(h100) == pytest.approx(min(h100), rel=1e-3)
    out = tw(small).stdout
    assert "$/M TOKENS" in out
    assert "~ is estimated from data sheets" in out
    assert "three prompt tokens to one of output" in out


def test_a_model_that_nobody_can_size_has_no_such_column(tw, small):
    small.write_text(SMALL.replace("meta-llama/Llama-3.1-8B-Instruct", "acme/chat"))
    assert "$/M TOKENS" not in tw(small).stdout
    (service,) = services(tw(small, "--json"))
    assert {r["usd_per_million_tokens"] for r in service["rows"]} == {None}
    error = tw(small, *LOAD).exception
    assert isinstance(error, InputError)
    assert "small.yaml: tradewind.parameters is missing" in str(error)


def test_a_load_gets_its_cheapest_mix_its_money_and_the_shapes_alone(tw, small):
    (service,) = services(tw(small, *LOAD, "--json"))
    sizing = service["sizing"]
    assert set(sizing) == {
        "market",
        "ttft_s",
        "tpot_s",
        "buckets",
        "mix",
        "alone",
        "by_length_usd_hour",
        "left_out",
        "notes",
    }
    assert (sizing["market"], sizing["ttft_s"], sizing["tpot_s"]) == ("spot", 1.0, 0.06)
    mix = sizing["mix"]
    assert sum(part["qps"][0] for part in mix["parts"]) == pytest.approx(20)
    prices = {(r["accelerator"], r["market"]): r["price_usd_hour"] for r in reversed(service["rows"])}
    assert mix["expected_usd_hour"] == pytest.approx(
        sum(p["replicas"] * prices[p["accelerator"], "spot"] for p in mix["parts"]), rel=1e-5
    )
    assert mix["worst_usd_hour"] == pytest.approx(
        sum(p["replicas"] * prices[p["accelerator"], "on_demand"] for p in mix["parts"]), rel=1e-5
    )
    assert mix["expected_usd_hour"] <= sizing["alone"][0]["expected_usd_hour"]
    assert [a["expected_usd_hour"] for a in sizing["alone"]] == sorted(
        a["expected_usd_hour"] for a in sizing["alone"]
    )
    assert mix["usd_per_million_tokens"] == pytest.approx(
        mix["expected_usd_hour"] / (20 * 1200 * 3600) * 1e6, rel=1e-4
    )


def test_people_see_the_mix_the_single_shapes_and_what_is_assumed(tw, small):
    out = tw(small, *LOAD).stdout
    for words in (
        "small: cheapest mix for 20 requests/s, 1 bucket, TTFT 1000 ms, TPOT 60 ms (spot)",
        "small: on one shape instead",
        "USD/hour expected",
        "planned with 80% of what a replica can take; TTFT and TPOT are means",
    ):
        assert words in out


def test_a_load_file_is_buckets_or_a_trace(tw, small, tmp_path):
    load = tmp_path / "load.csv"
    load.write_text("qps,prompt_tokens,output_tokens\n5,200,100\n1,4000,300\n")
    (service,) = services(tw(small, "--load", load, "--json", "--by-length"))
    assert [b["qps"] for b in service["sizing"]["buckets"]] == [5, 1]
    assert "needs a router of yours" in tw(small, "--load", load, "--by-length").stdout
    load.write_text(
        "time_s,prompt_tokens,output_tokens\n" + "".join(f"{t / 5},300,100\n" for t in range(500))
    )
    (service,) = services(tw(small, "--load", load, "--json"))
    assert service["sizing"]["buckets"][0]["qps"] == pytest.approx(5, rel=0.02)


def throughput(service):
    return {r["accelerator"]: r["throughput"] for r in service["rows"]}


def test_a_services_own_table_goes_before_ours(tw, small, mine):
    small.write_text(SMALL + "tradewind: {throughput: mine.csv}\n")
    (service,) = services(tw(small, "--json"))
    assert throughput(service) == dict.fromkeys(("A10G", "A100-80GB", "H100", "L40S"), "estimated") | {
        "L4": "measured"
    }


def test_an_own_table_that_says_nothing_of_the_model_is_noted(tw, small, mine, tmp_path):
    small.write_text(SMALL + "tradewind: {throughput: mine.csv}\n")
    assert not json.loads(tw(small, "--json").stdout)["notes"][1:]
    path = tmp_path / "mine.csv"
    path.write_text(path.read_text().replace("Llama-3-8B,bf16", "Lama-3-8B,bf16"))
    said = "mine.csv: no row is about meta-llama/Llama-3.1-8B-Instruct in bf16, so none counts"
    assert f"small: {said}" in json.loads(tw(small, "--json").stdout)["notes"]
    assert said in tw(small).stdout
    path.write_text(path.read_text().replace("Lama-3-8B,bf16", "Llama-3-8B,fp8"))
    assert said in tw(small).stdout


def test_a_stacks_own_table_goes_before_ours(tw, small, mine, tmp_path, monkeypatch):
    (tmp_path / "Pulumi.yaml").write_text("name: x\nruntime: python\n")
    (tmp_path / "Pulumi.x.yaml").write_text(
        "config:\n  tradewind:services: [small.yaml]\n  tradewind:clouds: [local]\n"
        "  tradewind:throughput: mine.csv\n  tradewind:local: {trace: calm.csv}\n"
    )
    calm = Context(stack="dev").root / "local/traces/calm.csv"
    (tmp_path / "calm.csv").write_text(calm.read_text())
    monkeypatch.setattr(plan, "Context", lambda stack: Context(stack=stack, root=tmp_path))
    (service,) = services(tw("--stack", "x", "--json"))
    assert throughput(service)["L4"] == "measured"


def test_a_wrong_table_of_the_users_is_named_with_its_row(tw, small, tmp_path):
    small.write_text(SMALL + "tradewind: {throughput: mine.csv}\n")
    assert "mine.csv can't be read" in str(tw(small).exception)
    (tmp_path / "mine.csv").write_text(",".join(COLUMNS) + "\n" + MINE.replace(",9000,", ",fast,") + "\n")
    error = tw(small).exception
    assert isinstance(error, SpecError)
    assert "mine.csv:2: decode_tokens_s: must be a number above 0; it is `fast`" in str(error)


def test_a_load_that_nothing_serves_is_told_by_bucket_and_limit(tw, small, tmp_path):
    load = tmp_path / "load.csv"
    load.write_text("qps,prompt_tokens,output_tokens\n5,200,100\n1,30000,300\n")
    error = tw(small, "--load", load, "--ttft-ms", "300").exception
    assert isinstance(error, NoMix)
    assert "bucket 30000 + 300 tokens: time to the first token: the first token takes" in str(error)
    assert "on H100:1, the nearest, estimated" in str(error)
    assert "bucket 200" not in str(error)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--qps", "1"], "--prompt-tokens, --output-tokens is missing"),
        (
            ["--qps", "0", "--prompt-tokens", "1", "--output-tokens", "1"],
            "--qps must be a number above 0; it is `0`",
        ),
        (["--qps", "nan", "--prompt-tokens", "1", "--output-tokens", "1"], "it is `nan`"),
        (["--qps", "1", "--prompt-tokens", "-5", "--output-tokens", "1"], "--prompt-tokens must be"),
        (
            ["--qps", "1e7", "--prompt-tokens", "1", "--output-tokens", "1"],
            "--qps must be at most 1,000,000 requests per second; it is `1e+07`",
        ),
        (["--ttft-ms", "100"], "a target is for a load"),
        (["--by-length"], "a target is for a load"),
        ([*LOAD[:6], "--tpot-ms", "0"], "--tpot-ms must be a number above 0"),
        (["--load", "none.csv"], "--load: none.csv can't be read"),
        (["--load", "x.csv", "--qps", "1"], "--qps has no place beside it"),
    ],
)
def test_options_that_make_no_sense_are_one_clear_message(tw, small, words, message):
    result = tw(small, *words)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)
    assert result.stdout == ""


def test_a_load_is_of_one_service(tw, small, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(SMALL.replace("name: small", "name: other"))
    assert "name one file" in str(tw(small, other, *LOAD).exception)


def test_replicas_of_several_machines_are_not_guessed(tw, small):
    small.write_text(SMALL.replace("name: small", "name: small\nnum_nodes: 2"))
    assert "num_nodes: how fast a replica of 2 machines is, is not modelled" in str(
        tw(small, *LOAD).exception
    )
    assert "$/M TOKENS" not in tw(small).stdout


def test_a_mix_above_the_files_maximum_says_so(tw, small):
    words = ["--qps", "300", *LOAD[2:], "--json"]
    (service,) = services(tw(small, *words))
    assert any("the file allows 2: raise max_replicas" in note for note in service["sizing"]["notes"])


def test_the_same_load_gets_the_same_bytes(tw, small):
    assert tw(small, *LOAD, "--json").stdout_bytes == tw(small, *LOAD, "--json").stdout_bytes


def test_what_the_solver_prints_by_itself_does_not_reach_the_output(capfd):
    with rightsize.quiet():
        ctypes.CDLL(None).puts(b"HighsMipSolverData::transformNewIntegerFeasibleSolution tmpSolver.run();")
    print(json.dumps({"clean": True}))
    assert json.loads(capfd.readouterr().out) == {"clean": True}
