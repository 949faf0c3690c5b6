import pytest

from lb.envoy import binary
from spec.errors import OutsideError


def fake(tmp_path, says, code=0):
    path = tmp_path / "envoy"
    path.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n")
    path.chmod(0o755)
    return path


def line(version):
    return f"envoy  version: 9e5580933739775e8bce696a57a2e1bc99368f23/{version}/Clean/RELEASE/BoringSSL"


def test_the_packaged_envoy_is_found_and_new_enough():
    assert binary.version(binary.find()) >= binary.MINIMUM


def test_one_on_path_serves_where_the_package_is_missing(tmp_path, monkeypatch):
    path = fake(tmp_path, line("1.41.2-dev"))
    monkeypatch.setattr(binary, "_packaged", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert binary.find() == path
    assert binary.version(path) == (1, 41, 2)


def test_an_older_one_is_refused_with_both_versions(tmp_path, monkeypatch):
    path = fake(tmp_path, line("1.39.3"))
    monkeypatch.setattr(binary, "_packaged", lambda: path)
    with pytest.raises(OutsideError, match=r"1\.39\.3; at least 1\.40 is needed"):
        binary.find()


def test_none_at_all_says_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setattr(binary, "_packaged", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OutsideError, match="make up"):
        binary.find()


@pytest.mark.parametrize(("says", "code"), [("hello", 0), (line("1.40.0"), 1)])
def test_what_is_not_envoy_is_refused(tmp_path, says, code):
    with pytest.raises(OutsideError):
        binary.version(fake(tmp_path, says, code))
