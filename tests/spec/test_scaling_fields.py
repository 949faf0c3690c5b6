"""`replica_policy`: signals, schedules and behavior of a service file, right and wrong."""

import pytest

from engines.presets import PRESETS
from spec.scaling import SIGNALS, Pace, RateKind, RatePolicy, Schedule, Select
from spec.scaling_checks import TELL_KV_CACHE, TELL_QUEUE


def policy(minimal, text, *, engine="vllm"):
    body = "".join(f"    {line}\n" for line in text.strip().splitlines())
    return minimal.replace("  replicas: 2\n", f"  replica_policy:\n{body}") + (
        f"tradewind: {{engine: {engine}}}\n" if engine else ""
    )


def test_every_signal_is_read(read, minimal):
    scaling = read(
        policy(
            minimal,
            """
min_replicas: 0
max_replicas: 8
target_qps_per_replica: {A100: 4}
target_inflight_per_replica: 32
target_queue_per_replica: 0.5
target_kv_cache_utilization: 80%
target_gpu_utilization: 0.9
target_ttft_ms: 1500
target_utilization: 0.75
""",
        )
    ).scaling
    assert [getattr(scaling, name) for name in SIGNALS] == [{"A100": 4}, 32, 0.8, 0.9, 0.5, 1500]
    assert scaling.target_utilization == 0.75
    assert scaling.follows_load
    assert (scaling.asks_engines, scaling.asks_gpus) == (True, True)


def test_without_a_signal_the_number_does_not_follow_the_load(read, minimal):
    scaling = read(policy(minimal, "max_replicas: 4")).scaling
    assert not scaling.follows_load
    assert not scaling.asks_engines


SCHEDULE = 'schedules: [{cron: "0 8 * * 1-5", timezone: Europe/Berlin, duration: 10h, min_replicas: 4}]'


def test_schedules_are_read(read, minimal):
    scaling = read(policy(minimal, f"max_replicas: 4\n{SCHEDULE}")).scaling
    assert scaling.schedules == (
        Schedule(cron="0 8 * * 1-5", timezone="Europe/Berlin", duration_s=36000, min_replicas=4),
    )


BEHAVIOR = """
max_replicas: 9
target_qps_per_replica: 1
behavior:
  scaleUp:
    stabilizationWindowSeconds: 30
    selectPolicy: Min
    tolerance: 0.05
    policies:
    - {type: Pods, value: 4, periodSeconds: 60}
    - {type: Percent, value: 50, periodSeconds: 120}
  scaleDown:
    selectPolicy: Disabled
"""


def test_behavior_is_read_with_the_names_of_the_hpa_and_in_our_own_case(read, minimal):
    theirs = read(policy(minimal, BEHAVIOR)).scaling
    assert theirs.upscale_delay_s == 30
    assert theirs.downscale_delay_s == 1200
    assert theirs.scale_up == Pace(
        select=Select.MIN,
        policies=(
            RatePolicy(kind=RateKind.PODS, value=4, period_s=60),
            RatePolicy(kind=RateKind.PERCENT, value=50, period_s=120),
        ),
        tolerance=0.05,
    )
    assert theirs.scale_down == Pace(select=Select.DISABLED)
    ours = (
        BEHAVIOR.replace("scaleUp", "scale_up")
        .replace("stabilizationWindowSeconds", "stabilization_window_seconds")
        .replace("periodSeconds", "period_seconds")
    )
    assert read(policy(minimal, ours)).scaling == theirs


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("target_queue_per_replica: 0", "target_queue_per_replica", "must be a number above 0"),
        ("target_inflight_per_replica: -1", "target_inflight_per_replica", "above 0"),
        ("target_ttft_ms: .nan", "target_ttft_ms", "must be a number above 0"),
        ("target_kv_cache_utilization: 80", "target_kv_cache_utilization", "For example `0.8` or `80%`"),
        ("target_gpu_utilization: 0", "target_gpu_utilization", "a share above 0 and at most 1"),
        ("target_utilization: .inf", "target_utilization", "a share above 0 and at most 1"),
        (
            "target_queue_per_replcia: 3",
            "target_queue_per_replcia",
            "Did you mean `target_queue_per_replica`?",
        ),
        ("target_tps_per_replica: 3", "target_tps_per_replica", "Did you mean `target_qps_per_replica`?"),
        ("behavior: {scaleup: {}}", "behavior.scaleup", "Did you mean `scale_up`?"),
        (
            "behavior: {scaleUp: {policies: [{type: Replicas, value: 1, periodSeconds: 60}]}}",
            "behavior.scaleUp.policies[0].type",
            "must be one of `Pods` or `Percent`",
        ),
        (
            "behavior: {scaleUp: {policies: [{type: Pods, value: 0, periodSeconds: 60}]}}",
            "behavior.scaleUp.policies[0].value",
            "must be at least 1",
        ),
        (
            "behavior: {scaleUp: {policies: [{type: Pods, value: 1}]}}",
            "behavior.scaleUp.policies[0].period_seconds",
            "is missing",
        ),
        (
            "upscale_delay_seconds: 10\nbehavior: {scaleUp: {stabilizationWindowSeconds: 10}}",
            "behavior.scaleUp.stabilizationWindowSeconds",
            "says the same as `service.replica_policy.upscale_delay_seconds`. Keep one of them.",
        ),
        (SCHEDULE.replace("0 8 *", "0 24 *"), "schedules[0].cron", "`24` is no hour: from 0 to 23"),
        (SCHEDULE.replace("0 8 *", "8 *"), "schedules[0].cron", "needs five fields"),
        (SCHEDULE.replace("1-5", "mon-fry"), "schedules[0].cron", "`fry` is no day of the week"),
        (SCHEDULE.replace("0 8 * *", "0 8 30 2"), "schedules[0].cron", None),
        (SCHEDULE.replace("Berlin", "Berln"), "schedules[0].timezone", "Did you mean `Europe/Berlin`?"),
        (SCHEDULE.replace("Europe/Berlin", "New York"), "schedules[0].timezone", "`America/New_York`"),
        (SCHEDULE.replace("Europe/Berlin", "12"), "schedules[0].timezone", "is no known time zone"),
        (SCHEDULE.replace("10h", "0"), "schedules[0].duration", "above 0 and up to 7 days"),
        (SCHEDULE.replace("10h", "8d"), "schedules[0].duration", "above 0 and up to 7 days"),
        (SCHEDULE.replace("10h", "ten hours"), "schedules[0].duration", "above 0 and up to 7 days"),
        (SCHEDULE.replace("duration", "durations"), "schedules[0].durations", "Did you mean `duration`?"),
        (f"max_replicas: 3\n{SCHEDULE}", "schedules[0].min_replicas", "not be above `max_replicas` (3)"),
        (SCHEDULE, "schedules[0].min_replicas", "not be above `max_replicas` (1)"),
    ],
)
def test_what_is_wrong_names_the_field_and_the_way_out(problems, minimal, text, field, said):
    wanted = f"service.replica_policy.{field}"
    if "max_replicas" not in text and text != SCHEDULE:
        text = f"max_replicas: 9\n{text}"
    if said is None:  # a day of the week makes the day of the month only one of two ways
        text, said = text.replace("1-5", "*"), "no year has such a day"
    found = {p.field: str(p) for p in problems(policy(minimal, text))}
    assert said in found[wanted], found


@pytest.mark.parametrize(
    ("engine", "field", "said"),
    [
        (None, "target_queue_per_replica: 2", "it is not known which engine runs"),
        ("tabby", "target_queue_per_replica: 2", "the engine `tabby` does not tell it"),
        ("tgi", "target_kv_cache_utilization: 0.8", "the engine `tgi` does not tell it"),
    ],
)
def test_a_signal_that_no_engine_tells_is_refused(problems, minimal, engine, field, said):
    [problem] = problems(policy(minimal, field, engine=engine))
    assert said in str(problem)
    assert "target_inflight_per_replica" in problem.hint


def test_which_engines_tell_what_is_what_their_presets_say():
    assert {n for n, p in PRESETS.items() if p.metrics.waiting is not None} == TELL_QUEUE
    assert {n for n, p in PRESETS.items() if p.metrics.kv_usage is not None} == TELL_KV_CACHE


def test_a_forecast_is_read_and_needs_something_to_learn_from(read, minimal):
    assert read(policy(minimal, "target_qps_per_replica: 2\nforecast: true")).scaling.forecast
    [said] = read(policy(minimal, "target_queue_per_replica: 2\nforecast: true")).not_acted_on
    assert "forecast: true` is not acted on yet: it learns from `target_qps_per_replica`" in said


def test_a_headroom_of_nothing_is_said_to_do_nothing(read, minimal):
    [said] = read(policy(minimal, "target_queue_per_replica: 2\ntarget_utilization: 0.8")).not_acted_on
    assert "target_utilization: 0.8` is not acted on yet: it is a share of `target_qps_per_replica`" in said
