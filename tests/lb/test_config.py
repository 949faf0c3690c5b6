"""The controller's config: every problem at once, with file, field and the way out."""

import json

import pytest

from lb.config import read_config, read_token
from spec.errors import InputError, SpecError


def write(path, **changes):
    config = {
        "stack": "dev",
        "env": "dev",
        "bucket": "file:///tmp/x",
        "port": 18083,
        "token_file": "/tmp/token",
        "clouds": {"local": {"home": "/tmp/home"}},
    }
    path.write_text(json.dumps({**config, **changes}))
    return path


def test_a_good_config_is_read_with_its_defaults(tmp_path):
    config = read_config(write(tmp_path / "c.json"))
    assert (config.host, config.tick_s, str(config.clouds.local.home)) == ("127.0.0.1", 1.0, "/tmp/home")


def test_all_problems_are_told_with_their_fields(tmp_path):
    path = write(tmp_path / "c.json", port=0, tick_s=0, prot=1)
    with pytest.raises(SpecError) as raised:
        read_config(path)
    text = str(raised.value)
    assert str(path) in text
    assert "port" in text
    assert "tick_s" in text
    assert "Did you mean `port`?" in text


def test_a_cloud_with_a_stack_of_its_own_has_a_bucket_for_its_fragment(tmp_path):
    gcp = {"project": "acme-llm", "regions": ["us-central1"]}
    apart = {"gcp": "prod-gcp"}
    with pytest.raises(SpecError, match=r"apart\.gcp: clouds\.gcp must name a bucket"):
        read_config(write(tmp_path / "c.json", clouds={"gcp": gcp}, apart=apart))
    known = {"gcp": {**gcp, "bucket": "gs://tw-prod"}}
    assert read_config(write(tmp_path / "c.json", clouds=known, apart=apart)).apart == apart


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_what_is_no_config_is_told(tmp_path, text):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(SpecError):
        read_config(path)


def test_a_missing_config_and_a_missing_or_empty_token_are_told(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        read_config(tmp_path / "nothing.json")
    with pytest.raises(InputError, match="token_file"):
        read_token(tmp_path / "nothing")
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(InputError, match="is empty"):
        read_token(tmp_path / "empty")
