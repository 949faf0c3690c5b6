"""What is wrong with a service file is said all at once: line, field, value, and a way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from spec.errors import SpecError
from spec.read import read_service, read_services
from spec.source import MAX_BYTES


def failure(path: Path) -> str:
    with pytest.raises(SpecError) as e:
        read_service(path)
    return str(e.value)


# ---------------------------------------------------------------- files that can't be read


def test_no_such_file_offers_the_nearest_one(tmp_path, minimal):
    (tmp_path / "mixtral.yaml").write_text(minimal)

    assert failure(tmp_path / "mixtrl.yaml").endswith("there is no such file. Did you mean `mixtral.yaml`?")


def test_a_directory(tmp_path):
    assert "is a directory" in failure(tmp_path)
    assert "*.yaml" in failure(tmp_path)


def test_a_name_that_no_file_can_have(tmp_path):
    assert "can't be read" in failure(tmp_path / ("x" * 300))
    assert "can't be read" in failure(tmp_path / "a\0b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x7fELF\xff\xfe\x00", "not a text file"),
        (b"run: a\x00b", "control characters"),
        (b"a: " + b"x" * MAX_BYTES, "larger than 1 MiB"),
        (b"", "is empty"),
        (b"# only a comment\n", "is empty"),
        (b"---\n", "is empty"),
        (b"- a\n- b\n", "must be a map of fields"),
        (b"just text", "must be a map of fields"),
        (b"a: [1, 2\nb: 3", "is not valid YAML"),
        (b"a: b: c", ":1: is not valid YAML"),
        (b"run: x\nservice:\n\treplicas: 2\n", ":3: a tab stands"),
        (b"run: x\n---\nrun: y\n", ":2: holds more than one YAML document"),
        (b"run: *nothing", "refers to nothing"),
        (b"run: &a [*a]", "refers to nothing"),
        (b"run: !!python/object:os.system x", "uses a YAML tag"),
        (b"? {a: b}\n: c\n", "a key must be a plain word"),
        (b"<<: text\nrun: x\n", "takes the alias of a map"),
        (b'run: "\\uD800"', "can't be stored"),
        (b'run: "\\UFFFFFFFF"', "is not valid YAML"),
        (b"run: " + b"[" * 200, "too deeply nested"),
        (b"run: [" + b"a," * 10_001 + b"]", "too many"),
    ],
)
def test_content_that_is_no_service_file(tmp_path, content, message):
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)

    assert message in failure(path)


def test_aliases_that_unfold_without_end_are_refused(tmp_path):
    path = tmp_path / "bomb.yaml"
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    path.write_text("\n".join(lines))

    assert "aliases unfold to more values" in failure(path)


def test_aliases_that_nest_without_end_are_refused(tmp_path):
    path = tmp_path / "deep.yaml"
    path.write_text("a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{x: *a{i - 1}}}\n" for i in range(1, 100)))

    assert "aliases unfold" in failure(path)


def test_a_field_that_is_given_twice(problems, minimal):
    [problem] = problems(minimal.replace("  replicas: 2", "  replicas: 2\n  replicas: 3"))

    assert (problem.field, problem.line) == ("service.replicas", 7)
    assert "line 6" in problem.message


# ---------------------------------------------------------------- fields


@pytest.mark.parametrize(
    ("old", "new", "field", "hint"),
    [
        ("run:", "setpu: x\nrun:", "setpu", "`setup`"),
        ("ports:", "acelerators: T4\n  ports:", "resources.acelerators", "`accelerators`"),
        ("replicas:", "replcas:", "service.replcas", "`replicas`"),
        ("/health", "{pth: /health}", "service.readiness_probe.pth", "`path`"),
        (
            "replicas: 2",
            "replica_policy: {min_replica: 2}",
            "service.replica_policy.min_replica",
            "`min_replicas`",
        ),
        (
            "replicas: 2",
            "load_balancer: {stream_timeout: 2}",
            "service.load_balancer.stream_timeout",
            "stream_timeout_",
        ),
        ("ports:", "any_of: [{cluod: aws}]\n  ports:", "resources.any_of[0].cluod", "`cloud`"),
        ("run:", "file_mounts: {/x: {sorce: y}}\nrun:", "file_mounts./x.sorce", "`source`"),
        ("run:", "tradewind: {parameter: 7B}\nrun:", "tradewind.parameter", "`parameters`"),
        ("run:", "tradewind: {budget: {usd_hour: 7}}\nrun:", "tradewind.budget.usd_hour", "`worst_usd_hour`"),
        ("run:", "target_qps_per_replica: 2\nrun:", "target_qps_per_replica", "`service.replica_policy`"),
        ("run:", "xyzzy: 2\nrun:", "xyzzy", "Known here: name, service,"),
        ("run:", "'a\\nb': 2\nrun:", "a\\nb", "Known here"),
    ],
)
def test_an_unknown_field_gets_a_suggestion(problems, minimal, old, new, field, hint):  # noqa: PLR0917 - a table
    unknown = [p for p in problems(minimal.replace(old, new, 1)) if "is not a known field" in p.message]

    assert [p.field for p in unknown] == [field]
    assert hint in str(unknown[0])


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("replicas: 2", "replicas: two", "service.replicas", "must be a whole number, not `two`"),
        ("replicas: 2", "replicas: 2.5", "service.replicas", "must be a whole number, not `2.5`"),
        ("replicas: 2", "replicas: true", "service.replicas", "must be a whole number, not `true`"),
        ("replicas: 2", "replicas: -1", "service.replicas", "must be at least 0, not `-1`"),
        ("replicas: 2", "replicas: .nan", "service.replicas", "must be a"),
        ("replicas: 2", "replicas: 99999999999999999999", "service.replicas", "must be a whole number"),
        ("replicas: 2", "replicas: [2]", "service.replicas", "must be a whole number, not a list"),
        ("replicas: 2", "replica_policy: 2", "service.replica_policy", "must be a map of fields, not `2`"),
        (
            "replicas: 2",
            "replicas: 2\n  load_balancing_policy: random",
            "service.load_balancing_policy",
            "one of",
        ),
        ("/health", "health", "service.readiness_probe", "must be a path that begins with `/`"),
        ("/health", "[/health]", "service.readiness_probe", "must be a map of fields, not a list"),
        ("/health", "{path: /h, timeout_seconds: 0}", "service.readiness_probe.timeout_seconds", "above 0"),
        ("/health", "{path: /h, timeout_seconds: .inf}", "service.readiness_probe.timeout_seconds", "finite"),
        (
            "/health",
            "{path: /h, initial_delay_seconds: -1}",
            "service.readiness_probe.initial_delay_seconds",
            "0",
        ),
        (
            "/health",
            "{path: /h, initial_delay_seconds: .nan}",
            "service.readiness_probe.initial_delay_seconds",
            "finite",
        ),
        ("/health", "{path: /h, post_data: '{bad'}", "service.readiness_probe.post_data", "not JSON"),
        ("/health", "{path: /h, post_data: 5}", "service.readiness_probe.post_data", "must be a map"),
        ("/health", "{path: /h, post_data: {t: .nan}}", "service.readiness_probe.post_data", "NaN"),
        (
            "/health",
            "{path: /h, headers: {'a b': x}}",
            "service.readiness_probe.headers.a b",
            "no name of an HTTP",
        ),
        ("ports: 8000", "ports: 0", "resources.ports", "TCP port from 1 to 65535, not `0`"),
        ("ports: 8000", "ports: 65536", "resources.ports", "TCP port from 1 to 65535"),
        ("ports: 8000", "ports: true", "resources.ports", "TCP port"),
        ("ports: 8000", "ports: 8000/udp", "resources.ports", "TCP port"),
        ("ports: 8000", "ports: 8000-8010", "resources.ports", "is a range"),
        ("ports: 8000", "ports: [8000, 9000]", "resources.ports", "several ports"),
        ("  ports: 8000\n", "", "resources.ports", "is missing"),
        ("L4:1", "L4:0", "resources.accelerators", "must be `NAME:COUNT`"),
        ("L4:1", "L4:-1", "resources.accelerators", "must be `NAME:COUNT`"),
        ("L4:1", "L4:0.5", "resources.accelerators", "must be `NAME:COUNT`"),
        ("L4:1", "'L4:'", "resources.accelerators", "must be `NAME:COUNT`"),
        ("L4:1", "5", "resources.accelerators", "must be `NAME:COUNT`"),
        ("L4:1", "{L4: many}", "resources.accelerators.L4", "must be `NAME:COUNT`"),
        ("L4:1", "[T4:1, 'A 1']", "resources.accelerators[1]", "must be `NAME:COUNT`"),
        ("accelerators: L4:1", "cpus: 4", "resources.accelerators", "is missing"),
        ("  ports", "  cpus: many\n  ports", "resources.cpus", "vCPUs above 0"),
        ("  ports", "  cpus: true\n  ports", "resources.cpus", "vCPUs above 0"),
        ("  ports", "  memory: -3\n  ports", "resources.memory", "memory in GiB"),
        ("  ports", "  use_spot: 1\n  ports", "resources.use_spot", "must be `true` or `false`"),
        ("  ports", "  disk_size: 0\n  ports", "resources.disk_size", "disk size"),
        ("  ports", "  cloud: [aws]\n  ports", "resources.cloud", "name of a cloud"),
        ("  ports", "  zone: 'a b'\n  ports", "resources.zone", "as the cloud writes it"),
        ("  ports", "  infra: a/b/c/d\n  ports", "resources.infra", "cloud/region"),
        ("  ports", "  infra: aws\n  cloud: gcp\n  ports", "resources.infra", "says the same"),
        ("  ports", "  any_of: []\n  ports", "resources.any_of", "must not be empty"),
        (
            "  ports",
            "  any_of: [{cloud: aws}]\n  ordered: [{cloud: aws}]\n  ports",
            "resources.ordered",
            "stand beside",
        ),
        ("run: serve", "run: ''", "run", "must not be empty"),
        ("run: serve", "setup: x", "run", "is missing"),
        ("run: serve", "run: [a]", "run", "must be text, not a list"),
        ("run: serve", "run: x\nnum_nodes: 0", "num_nodes", "must be at least 1"),
        ("run: serve", "run: x\nenvs: {1A: b}", "envs.1A", "no name of an environment variable"),
        ("run: serve", "run: x\nenvs: [A]", "envs", "must be a map"),
        ("run: serve", "run: x\nworkdir: nowhere", "workdir", "no directory `nowhere`"),
        ("run: serve", "run: x\nname: My_Service", "name", "For example `my-service`"),
        ("run: serve", f"run: x\nname: {'a' * 41}", "name", "at most 40 characters"),
        ("run: serve", "run: x\nname: 3d", "name", "begin with a letter"),
        ("run: serve", "run: x\nname: 5", "name", "lower-case letters"),
        ("run: serve", "run: x\ntradewind: {parameters: 70}", "tradewind.parameters", "with its unit"),
        ("run: serve", "run: x\ntradewind: {parameters: 8x7B}", "tradewind.parameters", "46.7B"),
        ("run: serve", "run: x\ntradewind: {parameters: .nan}", "tradewind.parameters", "with its unit"),
        ("run: serve", "run: x\ntradewind: {quantization: fp7}", "tradewind.quantization", "one of"),
        ("run: serve", "run: x\ntradewind: {engine: vlm}", "tradewind.engine", "Did you mean `vllm`?"),
        (
            "run: serve",
            "run: x\ntradewind: {max_request_bytes: 1.5X}",
            "tradewind.max_request_bytes",
            "bytes",
        ),
        (
            "run: serve",
            "run: x\ntradewind: {budget: {worst_usd_hour: .nan}}",
            "tradewind.budget.worst_usd_hour",
            "finite",
        ),
        (
            "run: serve",
            "run: x\ntradewind: {budget: {usd_month: -1}}",
            "tradewind.budget.usd_month",
            "at least 0",
        ),
        (
            "run: serve",
            "run: x\ntradewind: {budget: {on_exhausted: die}}",
            "tradewind.budget.on_exhausted",
            "`hold`",
        ),
        ("run: serve", "run: x\nfile_mounts: {/a: 5}", "file_mounts./a", "must be a map of fields"),
    ],
)
def test_a_wrong_value_is_named_with_its_field_and_what_was_expected(  # noqa: PLR0917 - a table
    problems, minimal, old, new, field, message
):
    found = problems(minimal.replace(old, new, 1))

    assert [p.field for p in found] == [field]
    assert message in str(found[0])
    assert found[0].line is not None


@pytest.mark.parametrize("value", ["0", "-1", ".nan", ".inf", "true", "many", "{L4: 0}", "{L4: true}", "{}"])
def test_a_target_that_is_no_positive_number(problems, minimal, value):
    [problem] = problems(
        minimal.replace(
            "replicas: 2", f"replica_policy: {{min_replicas: 1, target_qps_per_replica: {value}}}"
        )
    )

    assert problem.field == "service.replica_policy.target_qps_per_replica"


def test_a_minimum_above_the_maximum(problems, minimal):
    policy = "replica_policy:\n    min_replicas: 3\n    max_replicas: 2"
    [problem] = problems(minimal.replace("replicas: 2", policy))

    assert str(problem).endswith(
        "demo.yaml:8: service.replica_policy.max_replicas: must not be below `min_replicas` (3), not `2`."
        " Raise this one or lower the other."
    )
    assert problem.value == "2"


def test_a_task_that_is_no_service_is_told_what_is_missing(problems):
    [problem] = problems("resources: {accelerators: L4:1, ports: 80}\nrun: python train.py\n")

    assert problem.field == "service"
    assert "readiness_probe" in str(problem)


def test_a_file_name_that_can_not_serve_as_a_name(tmp_path, minimal):
    path = tmp_path / "123.yaml"
    path.write_text(minimal)

    assert "name: is missing" in failure(path)


def test_the_probe_interval_is_given_once(problems, minimal):
    text = minimal.replace("/health", "{path: /h, endpoint_probe_interval_seconds: 5}")
    [problem] = problems(text + "tradewind: {interval_seconds: 1}\n")

    assert problem.field == "tradewind.interval_seconds"


# ---------------------------------------------------------------- all at once


def test_all_problems_of_a_file_are_reported_in_the_order_of_its_lines(problems):
    found = problems(
        """\
name: Bad Name
envs:
  TOKEN:
resources:
  accelerators: {L4:0, A100:1}
  ports: http
service:
  replica_policy:
    min_replicas: 5
    max_replicas: 2
    upscale_delay_seconds: -1
  readyness_probe: /health
run: serve
runn: serve
"""
    )

    assert [(p.line, p.field) for p in found] == [
        (1, "name"),
        (3, "envs.TOKEN"),
        (5, "resources.accelerators.L4:0"),
        (6, "resources.ports"),
        (10, "service.replica_policy.max_replicas"),
        (11, "service.replica_policy.upscale_delay_seconds"),
        (12, "service.readyness_probe"),
        (14, "runn"),
    ]


def test_problems_of_all_files_come_together(tmp_path, minimal):
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text(minimal + "oops: 1\n")
    with pytest.raises(SpecError) as e:
        read_services([tmp_path / "one.yaml", tmp_path / "no.yaml", tmp_path / "two.yaml"])

    assert [Path(p.file).name for p in e.value.problems] == ["one.yaml", "no.yaml", "two.yaml"]


def test_two_services_may_not_have_one_name(tmp_path, minimal):
    (tmp_path / "one.yaml").write_text(minimal + "name: same\n")
    (tmp_path / "two.yaml").write_text(minimal + "name: same\n")
    with pytest.raises(SpecError) as e:
        read_services([tmp_path / "one.yaml", tmp_path / "two.yaml"])

    [problem] = e.value.problems
    assert (Path(problem.file).name, problem.field, problem.line) == ("two.yaml", "name", 8)
    assert "one.yaml" in problem.message
