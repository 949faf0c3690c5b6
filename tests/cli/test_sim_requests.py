"""`tw sim --requests`: comparing policies whose number of replicas follows requests."""

import json
import xml.etree.ElementTree as ET

import pytest

from sim.policies import DEFAULT_WITH_REQUESTS
from spec.errors import InputError, SpecError
from tests.cli.test_sim import tw

MET = {
    "ttft_p50_s",
    "ttft_p90_s",
    "ttft_p99_s",
    "latency_p50_s",
    "latency_p90_s",
    "latency_p99_s",
    "requests",
    "answered",
    "failed",
    "late",
    "late_minutes",
}
SERVICE = """
name: chat
resources: {accelerators: L4:1, ports: 8000}
service:
  readiness_probe: /health
  replica_policy: {min_replicas: 0, max_replicas: 4, target_inflight_per_replica: 8, target_ttft_ms: 700}
tradewind: {slo: 97}
run: serve
"""


@pytest.fixture
def capacity(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("time_s,zone,capacity,spot_price,ondemand_price\n0,a,9,1,3\n1200,a,9,1,3\n")
    return path


@pytest.fixture
def requests(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(tw("generate", "requests", "--days", 0.0125, "--rate", 2, "--seed", 4).stdout)
    return path


def test_json_has_what_callers_met_beside_the_promised_names(capacity, requests):
    found = json.loads(tw("--trace", capacity, "--requests", requests, "--json").stdout)
    assert tuple(p["name"] for p in found["policies"]) == DEFAULT_WITH_REQUESTS
    assert found["target"] is None
    assert found["request_count"] == requests.read_text().count("\n") - 1
    assert found["scaling"]["target_qps_per_replica"] > 0
    for policy in found["policies"]:
        assert set(policy["requests"]) >= MET
        assert policy["requests"]["answered"] > 0
        assert policy["cost_usd"] > 0


def test_the_table_says_what_was_run_and_what_late_means(capacity, requests):
    shown = tw("--trace", capacity, "--requests", requests, "--policy", "tradewind+qps", "--ttft-goal", 900)
    assert "tradewind+qps" in shown.stdout
    assert "the run ends with the last request" in shown.stdout
    assert "within 0.9 s" in shown.stdout


def test_the_service_files_own_scaling_is_used_and_its_goal(capacity, requests, tmp_path):
    service = tmp_path / "chat.yaml"
    service.write_text(SERVICE)
    words = ("--trace", capacity, "--requests", requests, "--service", service, "--policy", "tradewind")
    found = json.loads(tw(*words, "--json").stdout)
    assert (found["scaling"]["max_replicas"], found["scaling"]["target_inflight_per_replica"]) == (4, 8)
    assert found["policies"][0]["requests"]["ttft_goal_s"] == 0.7
    assert found["policies"][0]["requests"]["no_replica"] == 0  # min_replicas: 0, so requests are held
    assert "all but tradewind keep min_replicas" in " ".join(found["notes"])


def test_the_service_files_own_slo_counts_unless_another_one_is_given(capacity, requests, tmp_path):
    service = tmp_path / "chat.yaml"
    service.write_text(SERVICE)

    def slo(*words):
        found = tw("--trace", capacity, "--requests", requests, "--policy", "on-demand", "--json", *words)
        return json.loads(found.stdout)["scaling"]["slo"]

    assert slo() == 99.9
    assert slo("--service", service) == 97
    assert slo("--service", service, "--slo", 99.5) == 99.5


def test_what_comes_after_the_capacity_trace_is_left_out_and_counted(capacity, requests):
    with requests.open("a") as f:
        f.write("1300,10,10\n1400,10,10\n")
    shown = tw("--trace", capacity, "--requests", requests, "--policy", "on-demand").stdout
    assert "2 requests come after the end of the capacity trace and are left out" in shown


def test_another_engine_is_another_result(capacity, requests):
    def ttft(*words):
        found = tw("--trace", capacity, "--requests", requests, "--policy", "on-demand", "--json", *words)
        return json.loads(found.stdout)["policies"][0]["requests"]["ttft_p50_s"]

    assert ttft("--engine", "prefill=1000,alone=40") > 5 * ttft()


def test_a_hosted_provider_covers_for_every_policy_and_what_it_takes_is_told(capacity, requests):
    """There is no spot capacity for the first ten minutes, and one policy that asks for nothing else."""
    capacity.write_text(
        "time_s,zone,capacity,spot_price,ondemand_price\n0,a,0,1,3\n600,a,9,1,3\n1200,a,9,1,3\n"
    )
    words = ("--trace", capacity, "--requests", requests, "--policy", "round-robin")
    failed = json.loads(tw(*words, "--json").stdout)
    found = json.loads(tw(*words, "--hosted", "0.15/0.60", "--json").stdout)
    assert failed["hosted"] is None
    assert (found["hosted"]["usd_input"], found["hosted"]["usd_output"]) == (0.15, 0.6)
    before, after = failed["policies"][0], found["policies"][0]
    assert before["requests"]["hosted"] == before["cost_hosted_part"] == 0
    assert after["requests"]["hosted"] == before["requests"]["no_replica"] > 500
    assert after["requests"]["failed"] == 0
    assert after["cost_usd"] * (1 - after["cost_hosted_part"]) == pytest.approx(before["cost_usd"])
    shown = tw(*words, "--hosted", "0.15/0.60/20").stdout
    assert (
        "for 0.15 and 0.6 USD per million tokens of prompts and of answers, 20 USD per hour at most" in shown
    )
    assert f"{after['cost_hosted_part']:.1%}" in shown
    assert "hosted provider" not in tw(*words).stdout


def test_the_picture_is_drawn_with_a_target_that_moves(capacity, requests, tmp_path):
    tw("--trace", capacity, "--requests", requests, "--policy", "tradewind", "--plot", tmp_path / "p.svg")
    ET.parse(tmp_path / "p.svg")


def test_the_picture_is_as_long_as_the_run(capacity, requests, tmp_path):
    with capacity.open("a") as f:
        f.write("864000,a,9,,\n")
    tw("--trace", capacity, "--requests", requests, "--policy", "on-demand", "--plot", tmp_path / "p.svg")
    assert "0.0125 days, 1 zones" in (tmp_path / "p.svg").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "prefil=3"), "'prefil' is nothing that an engine has. Did you mean `prefill`?"),
        (("--engine", "slots=many"), "slots must be a number, got 'many'"),
        (("--engine", "full=10"), "full must lie between alone"),
        (("--hosted", "0.15"), "like 0.15/0.60, got '0.15'"),
        (("--hosted", "0.15/cheap"), "could not convert string to float: 'cheap'. Write it like 0.15/0.60"),
        (("--hosted", "0.15/-1"), "a price must be 0 or more, and at most 1000000; got -1"),
        (("--hosted", "0.15/0.6/0"), "the limit must be more than 0, and at most 1000000; got 0"),
        (("--target", 3), "--target means nothing with --requests"),
        (("--policy", "omniscient"), "nothing of requests"),
        (("--policy", "tradewind+qsp"), "Did you mean `qps`?"),
    ],
)
def test_what_can_not_be_is_told(capacity, requests, words, said):
    with pytest.raises(InputError) as wrong:
        tw("--trace", capacity, "--requests", requests, *words)
    assert said in str(wrong.value)


@pytest.mark.parametrize("word", ["--service", "--engine", "--hosted", "--ttft-goal"])
def test_an_option_of_requests_without_requests_is_no_option(capacity, word):
    with pytest.raises(InputError, match=f"{word} means nothing without --requests"):
        tw("--trace", capacity, word, 900)


def test_requests_of_a_second_and_without_any_token_have_a_result_too(capacity, requests):
    requests.write_text("time_s,prompt_tokens,output_tokens\n0,0,0\n1,0,0\n")
    found = json.loads(tw("--trace", capacity, "--requests", requests, "--json").stdout)
    assert {p["requests"]["requests"] for p in found["policies"]} == {2}


def test_a_broken_request_trace_is_told_with_its_rows(capacity, requests):
    requests.write_text("time_s,prompt_tokens,output_tokens\n3,1,1\n2,1,1\n")
    with pytest.raises(SpecError, match=r"r.csv:3: time_s: 2 is before the row above"):
        tw("--trace", capacity, "--requests", requests)
