"""Variables: how they get values, where they are filled in, and what never shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from spec.errors import SpecError
from spec.read import read_services


def test_a_value_on_the_command_line_wins(read, minimal):
    assert read(minimal + "envs: {MODEL: a}\n", MODEL="b").envs == {"MODEL": "b"}


def test_values_are_kept_as_they_are_written(read, minimal):
    spec = read(minimal + "envs: {VERSION: 1.10, FLAG: yes, EMPTY: '', N: 007}\n")

    assert spec.envs == {"VERSION": "1.10", "FLAG": "yes", "EMPTY": "", "N": "007"}


def test_variables_are_filled_in_outside_of_the_scripts_only(read, tmp_path):
    (tmp_path / "code").mkdir()
    spec = read(
        """\
envs: {MODEL: org/m, TAG: v1, DIR: code, FULL: "${MODEL}-x"}
workdir: ${DIR}
file_mounts: {/data/$TAG: "s3://weights/${TAG}"}
resources: {accelerators: L4:1, ports: 8000, image_id: "docker:image:$TAG"}
service:
  readiness_probe:
    path: /v1/$TAG
    post_data: {model: $MODEL, nested: ["${FULL}", $UNKNOWN]}
    headers: {X-Model: "${MODEL}"}
  replicas: 1
setup: echo $MODEL
run: serve ${MODEL}
"""
    )

    assert spec.workdir == "code"
    assert (spec.file_mounts[0].target, spec.file_mounts[0].source) == ("/data/v1", "s3://weights/v1")
    assert spec.image == "image:v1"
    assert (spec.probe.path, spec.probe.headers) == ("/v1/v1", {"X-Model": "org/m"})
    assert spec.probe.body == {"model": "org/m", "nested": ["org/m-x", "$UNKNOWN"]}
    assert (spec.setup, spec.run) == ("echo $MODEL", "serve ${MODEL}")


@pytest.mark.parametrize("left_open", ["HF_TOKEN:", "HF_TOKEN: null", "HF_TOKEN: ${HF_TOKEN}"])
def test_a_variable_without_value_says_how_to_give_one(problems, minimal, left_open):
    [problem] = problems(minimal + f"envs:\n  {left_open}\n")

    assert (problem.field, problem.line) == ("envs.HF_TOKEN", 9)
    assert "--env HF_TOKEN=VALUE" in str(problem)


def test_an_unknown_variable_gets_the_nearest_name(problems, minimal):
    [problem] = problems(minimal + "envs: {MODEL_ID: a}\n", MODELID="secret-value")

    assert str(problem) == "--env: MODELID: is not among the `envs`. Did you mean `MODEL_ID`?"


def test_a_variable_needs_to_be_known_to_one_of_several_files_only(tmp_path, minimal):
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(minimal + "envs: {A: null}\n")
    other.write_text(minimal)

    assert len(read_services([one, other], env={"A": "1"})) == 2
    with pytest.raises(SpecError, match="B: is not among"):
        read_services([one, other], env={"A": "1", "B": "2"})


def test_unknown_variables_are_not_judged_while_a_file_is_no_yaml(tmp_path, minimal):
    good, broken = tmp_path / "good.yaml", tmp_path / "broken.yaml"
    good.write_text(minimal)
    broken.write_text("a: b: c")
    with pytest.raises(SpecError) as e:
        read_services([good, broken], env={"A": "1"})

    assert [Path(p.file).name for p in e.value.problems] == ["broken.yaml"]


def test_a_secret_is_not_given_on_the_command_line(problems, minimal):
    [problem] = problems(minimal + "secrets: {TOKEN: null}\n", TOKEN="hunter2")

    assert "is a secret" in problem.message
    assert "hunter2" not in str(problem)


def test_a_secret_may_not_be_used_where_it_would_be_stored(problems, minimal):
    probe = "{path: /health, headers: {Authorization: Bearer $TOKEN}}"
    [problem] = problems(minimal.replace("/health", probe) + "secrets: {TOKEN: hunter2}\n")

    assert problem.field == "service.readiness_probe.headers.Authorization"
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    "text",
    [
        "secrets: {TOKEN: [hunter2]}",
        "secrets: {bad-name: hunter2}",
        "secrts: {TOKEN: hunter2}",
        "TOKEN: hunter2",
        "envs: {TOKEN: {value: hunter2}}",
        "envs: {bad-name: hunter2}",
        "envs: {TOKEN: hunter2}\nworkdir: ${TOKEN}",
        "envs: {TOKEN: hunter2}\nnum_nodes: ${TOKEN}",
        "tradewind: {token: hunter2}",
    ],
)
def test_no_message_shows_what_may_be_a_secret(problems, minimal, text):
    found = problems(f"{minimal}{text}\n")

    assert found
    assert not any("hunter2" in str(p) or "hunter2" in str(p.value) for p in found)


def test_no_message_shows_a_header(problems, minimal):
    probe = '{path: /health, headers: {Authorization: "hunter2\\n"}}'
    [problem] = problems(minimal.replace("/health", probe))

    assert problem.field == "service.readiness_probe.headers.Authorization"
    assert "hunter2" not in f"{problem}{problem.value}"
