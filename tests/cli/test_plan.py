import json

import pytest
import typer
from typer.testing import CliRunner

from cli import plan
from spec.errors import InputError, SpecError

FILE = """\
name: blog
resources:
  accelerators: {L4:8, A10g:8, A100:4, A100:8, A100-80GB:2, A100-80GB:4, A100-80GB:8}
  ports: 8080
service:
  readiness_probe: /v1/models
  replicas: 2
run: python -m vllm.entrypoints.openai.api_server --model mistralai/Mixtral-8x7B-Instruct-v0.1
"""

ROW = {
    "cloud",
    "region",
    "zone",
    "instance_type",
    "accelerator",
    "accelerator_count",
    "vcpus",
    "memory_gib",
    "market",
    "price_usd_hour",
    "usd_per_million_tokens",
    "throughput",
    "chosen",
}
COST = {
    "expected_usd_hour",
    "worst_usd_hour",
    "runaway_usd_hour",
    "idle_usd_month",
    "expected_usd_month",
}


@pytest.fixture
def tw():
    app = typer.Typer()
    plan.register(app)

    def run(*words):
        return CliRunner().invoke(app, [str(w) for w in words])

    return run


@pytest.fixture
def blog(tmp_path):
    path = tmp_path / "blog.yaml"
    path.write_text(FILE)
    return path


def services(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["services"]


def test_json_has_exactly_the_names_that_others_rely_on(tw, blog):
    (service,) = services(tw(blog, "--json"))
    assert set(service) == {"name", "rows", "left_out", "cost"}
    assert service["name"] == "blog"
    assert {frozenset(row) for row in service["rows"]} == {frozenset(ROW)}
    assert {frozenset(x) for x in service["left_out"]} == {
        frozenset(
            ROW - {"vcpus", "memory_gib", "usd_per_million_tokens", "throughput", "chosen"} | {"reason"}
        )
    }
    assert set(service["cost"]) == COST
    assert service["cost"]["expected_usd_hour"] == 14.692


def test_rows_are_in_rank_order_and_the_first_is_chosen(tw, blog):
    (service,) = services(tw(blog, "--on-demand", "--json"))
    prices = [row["price_usd_hour"] for row in service["rows"]]
    assert prices == sorted(prices)
    assert service["rows"][0]["instance_type"] == "Standard_NC48ads_A100_v4"
    assert service["rows"][0]["chosen"] is True
    assert service["rows"][0]["zone"] is None


def test_the_same_question_gets_the_same_bytes(tw, blog):
    assert tw(blog, "--json").stdout_bytes == tw(blog, "--json").stdout_bytes


def test_a_market_can_be_forced(tw, blog):
    (spot,) = services(tw(blog, "--spot", "--json"))
    assert {row["market"] for row in spot["rows"]} == {"spot"}
    (both,) = services(tw(blog, "--json"))
    assert {row["market"] for row in both["rows"]} == {"spot", "on_demand"}


def test_places_can_be_narrowed(tw, blog):
    (service,) = services(
        tw(blog, "--cloud", "GCP", "--cloud", "aws", "--region", "us-east4", "--max-price", "12", "--json")
    )
    assert {(row["cloud"], row["region"]) for row in service["rows"]} == {("gcp", "us-east4")}
    assert max(row["price_usd_hour"] for row in service["rows"]) <= 12
    assert {"azure is not gcp or aws"} < {x["reason"] for x in service["left_out"]}


def test_people_see_both_tables_pools_reasons_notes_and_money(tw, blog):
    out = tw(blog).stdout
    for words in (
        "blog: on demand, USD per hour",
        "blog: spot, USD per hour",
        "CLOUD   INSTANCE",
        "✔ in 3 places",
        "139 more places (--all)",
        "blog: 3 chosen pools",
        "blog.azure.eastus.A100-80GBx2.on_demand",
        "5 x nothing deploys to lambda yet",
        "prices as of: aws 2026, azure 2024, gcp 2026",
        "worst $/h",
        "22.04",
    ):
        assert words in out


def test_a_terminal_too_narrow_for_a_table_gets_it_without_the_host(tw, blog, monkeypatch):
    assert "Mem(GB)" in tw(blog).stdout
    monkeypatch.setattr(plan, "WIDTH_WITHOUT_TERMINAL", 100)
    narrow = tw(blog).stdout
    assert "Mem(GB)" not in narrow
    assert "REGION/ZONE" in narrow
    assert "$/M TOKENS" in narrow


def test_a_model_by_size_shows_its_arithmetic(tw, tmp_path):
    path = tmp_path / "big.yaml"
    path.write_text(
        "name: big\nresources: {ports: 8000}\nservice: {readiness_probe: /health, replicas: 1}\nrun: serve\n"
        "tradewind: {model: meta-llama/Llama-3-70b, parameters: 70B, quantization: fp8, max_model_len: 4096}\n"
    )
    out = tw(path).stdout
    assert "weights: 70 billion parameters x 1 bytes (fp8) = 65.2 GiB" in out
    assert "holds it, tensor parallel 4" in out
    assert "can't hold it" in tw(path, "--all").stdout


def test_a_stack_brings_its_clouds_and_its_services(tw):
    (chat,) = services(tw("--stack", "dev", "--json"))
    assert {row["cloud"] for row in chat["rows"]} == {"local"}
    assert sum(row["chosen"] for row in chat["rows"]) == 3


def test_several_files_are_planned_together(tw, blog, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(FILE.replace("name: blog", "name: other"))
    assert [s["name"] for s in services(tw(blog, other, "--json"))] == ["blog", "other"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cloud", "awz"], "no prices of a cloud `awz`. Did you mean `aws`?"),
        (["--region", "eu-nort-1"], "no place in a region `eu-nort-1`. Did you mean `eu-north-1`?"),
        (["--max-price", "-1"], "above 0; it is `-1`"),
        (["--max-price", "nan"], "above 0; it is `nan`"),
        (["--max-price", "0.01"], "none of those cost at most 0.01 USD/hour"),
        (["--cloud", "aws", "--region", "eastus"], "none of those are in eastus"),
        (["--stack", "nope"], "no stack `nope`"),
        (["--env", "X"], "Write `--env X"),
    ],
)
def test_bad_input_is_one_clear_message_with_exit_code_one(tw, blog, words, message):
    result = tw(blog, *words)
    assert isinstance(result.exception, InputError)
    assert result.exception.exit_code == 1
    assert message in str(result.exception)
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("L4:8", "L5:8", "accelerator `L5`"),
        (
            "{L4:8, A10g:8, A100:4, A100:8, A100-80GB:2, A100-80GB:4, A100-80GB:8}",
            "L4:3",
            "L4 comes as 1, 2, 4, 8",
        ),
        ("ports: 8080", "region: us-est4-x\n  ports: 8080", "no place in a region `us-est4-x`"),
    ],
)
def test_a_machine_that_nobody_has_is_said(tw, blog, old, new, message):
    blog.write_text(FILE.replace(old, new))
    result = tw(blog)
    assert isinstance(result.exception, InputError)
    assert message in str(result.exception)


def test_a_missing_file_is_said(tw, tmp_path):
    assert isinstance(tw(tmp_path / "none.yaml").exception, SpecError)


def test_without_a_file_it_says_what_to_name(tw):
    assert "tw plan --stack dev" in str(tw().exception)
