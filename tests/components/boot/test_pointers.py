"""Pointers: the same text for the same code, and settings that the services read."""

import json
import sys
from pathlib import Path

import pytest

from components.boot import pointers
from lb.config import read_config
from lb.edge.config import read_config as read_edge_config
from spec.stack import parse

BOOT = str(Path(pointers.__file__).parent)
HOST = {"edge_id": "edge-prod-1", "bucket": "s3://state", "store": "eu-west-1", "role": "edge"}


@pytest.fixture
def filled_in(monkeypatch, tmp_path):
    """What a host makes of settings, as a file."""
    monkeypatch.syspath_prepend(BOOT)
    import settings

    def fill(given):
        path = tmp_path / "config.json"
        path.write_text(json.dumps(settings.filled_in(json.loads(json.dumps(given)), HOST)))
        return path, settings.secrets(given)

    yield fill
    for name in ("settings", "fetch"):
        sys.modules.pop(name, None)


def config(dns=None, **tls):
    given = {"home": {"cloud": "aws", "region": "eu-west-1"}, "tls": tls, "dns": dns or {"owner": "none"}}
    return parse(given, file="Pulumi.prod.yaml")


def test_a_pointer_is_the_same_text_for_the_same_archive_and_settings():
    one = pointers.pointer(archive="hosts/a.tar", sha256="a", settings={"b": 1, "a": 2})
    other = pointers.pointer(archive="hosts/a.tar", sha256="a", settings={"a": 2, "b": 1})
    assert one == other
    assert json.loads(one) == {"archive": "hosts/a.tar", "sha256": "a", "settings": {"a": 2, "b": 1}}


def test_the_controller_reads_its_settings(filled_in):
    given = pointers.controller_settings(
        config(mode="own_ca"),
        env="prod",
        home=("aws", "eu-west-1"),
        bucket="s3://state",
        clouds={"aws": {"regions": ["eu-west-1"], "secrets": "eu-west-1"}},
        edges=["aws", "aws"],
    )
    path, secrets = filled_in(given)
    read = read_config(path)
    assert str(read.certificates.ca_key_file) == "/run/tradewind/secrets/ca-key"
    assert read.certificates.public == "own_ca"
    assert secrets == ["ca", "ca-key", "token"]


@pytest.mark.parametrize(
    ("owner", "secrets"),
    [("route53", ["ca", "ca-key", "token"]), ("cloudflare", ["ca", "ca-key", "cloudflare-token", "token"])],
)
def test_the_controller_is_told_where_names_are_proved(filled_in, owner, secrets):
    given = pointers.controller_settings(
        config(
            {"owner": owner, "zone": "Z1", "name": "llm.example.com"}, mode="acme", email="ops@example.com"
        ),
        env="prod",
        home=("aws", "eu-west-1"),
        bucket="s3://state",
        clouds={},
        edges=["aws"],
    )
    path, named = filled_in(given)
    acme = read_config(path).certificates.acme
    assert (acme.owner, acme.zone, acme.email) == (owner, "Z1", "ops@example.com")
    assert named == secrets


@pytest.mark.parametrize(
    ("tls", "secrets"),
    [
        ({"mode": "own_ca"}, ["leaf", "public", "token"]),
        ({"mode": "files", "cert": "my-cert", "key": "my-key"}, ["leaf", "my-cert", "my-key", "token"]),
    ],
)
def test_an_edge_reads_its_settings(filled_in, tls, secrets):
    url = "https://203.0.113.7:9444"
    path, named = filled_in(pointers.edge_settings(config(**tls), cloud="aws", controller_url=url))
    read = read_edge_config(path)
    assert (read.edge_id, read.bucket, read.bucket_region) == ("edge-prod-1", "s3://state", "eu-west-1")
    assert read.public_port == 443
    assert read.secure
    assert named == secrets
