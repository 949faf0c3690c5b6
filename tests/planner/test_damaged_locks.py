"""Whatever happens to the text of a committed lock, it is planned with or refused with a message, and nothing crashes."""

import re
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.fixed import load_fixed
from catalog.load import load
from planner.environment import plan_stack, zones_of
from planner.hosts import place_hosts
from planner.renewal import Deployed, renewed
from spec.desired import PoolState
from spec.errors import InputError
from spec.lock import dump, read_lock
from spec.read import read_stack
from spec.stack import load_stack
from tests.e2e.checkout import ROOT

TEXT = (ROOT / "pools.staging.lock").read_text()
WORD = re.compile(r"\w[\w.-]*")
LINES = TEXT.splitlines()
WORDS = st.sampled_from(
    [
        "",
        "retiring",
        "state: retiring",
        "null",
        "[]",
        "{}",
        "-1",
        "1e999",
        ".nan",
        "'",
        '"',
        "\n",
        "&a",
        "*a",
        "<<: ",
        "true",
        "aws",
        "gcp",
        "azure",
        "use1-az1",
        "us-east-1",
        "g6.xlarge",
        "controller",
        "qwen-7b",
        "schema: 2",
        ".",
        ":",
        ", ",
        "0",
    ]
)


@cache
def world():
    config = load_stack(ROOT, "staging")
    return config, load(), load_fixed()


def planned(lock):
    config, catalog, prices = world()
    specs = read_stack(ROOT, config.services, lock, env="staging")
    return plan_stack(specs, catalog, config, env="staging", prices=prices, lock=lock)


def tried(action):
    """What came of it, and the message of its refusal."""
    try:
        return action(), ""
    except InputError as e:
        return None, str(e)


@st.composite
def damaged(draw):
    """A few lines taken out, doubled or mixed up, and a few places written over."""
    lines = list(LINES)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(lines) - 1))
        lines[at : at + 1] = draw(st.sampled_from([[], [lines[at]] * 2, [draw(st.sampled_from(LINES))]]))
    text = "\n".join(lines) + "\n"
    for _ in range(draw(st.integers(0, 1))):
        start = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 12))
        text = text[:start] + draw(WORDS | st.text(max_size=3)) + text[start + length :]
    for _ in range(draw(st.integers(0, 2))):
        word = draw(st.sampled_from(WORD.findall(TEXT)))
        text = text.replace(word, draw(WORDS | st.just(word[:-1])), draw(st.sampled_from([1, -1])))
    return text


@settings(max_examples=80, deadline=None)
@given(damaged())
def test_a_damaged_lock_is_planned_with_or_refused_and_a_renewal_mends_it(tmp_path_factory, text):
    folder = tmp_path_factory.mktemp("lock")
    path = folder / "pools.staging.lock"
    path.write_bytes(text.encode(errors="surrogatepass"))
    lock, refusal = tried(lambda: read_lock(folder, "staging"))
    if lock is None:
        assert all(line.startswith("pools.staging.lock") for line in refusal.splitlines())
        return
    found, refusal = tried(lambda: planned(lock))
    if found is None:
        assert "pools.staging.lock" in refusal
    else:
        assert {p.id for s in found.plan.services for p in s.pools} == set(lock.pools)
    config, catalog, prices = world()
    fresh = plan_stack(read_stack(ROOT, config.services), catalog, config, env="staging", prices=prices).plan
    next_lock = renewed(
        lock,
        fresh,
        files={"qwen-7b": "services/qwen-7b.yaml"},
        hosts=place_hosts(config, zones_of(catalog), lock.hosts),
        deployed=Deployed(),
    ).lock
    path.write_text(dump(next_lock, "staging"))
    assert read_lock(folder, "staging") == next_lock
    again, refusal = tried(lambda: planned(next_lock))
    if again is None:  # nobody but its user knows which type was meant
        assert "instance_type: no price is known for" in refusal
    else:
        assert {p.id for p in again.plan.services[0].pools} == {p.id for p in fresh.services[0].pools}


def test_the_committed_lock_is_what_a_renewal_of_today_writes():
    config, catalog, prices = world()
    lock = read_lock(ROOT, "staging")
    fresh = plan_stack(read_stack(ROOT, config.services), catalog, config, env="staging", prices=prices).plan
    found = renewed(
        lock,
        fresh,
        files=lock.files,
        hosts=place_hosts(config, zones_of(catalog), lock.hosts),
        deployed=Deployed(dict.fromkeys(lock.pools, PoolState.ACTIVE)),
    )
    assert dump(found.lock, "staging") == TEXT
    assert (found.changes, found.notes) == ((), ())
