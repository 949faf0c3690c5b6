"""Objects and secrets by a machine's own identity, from the three clouds, and releases that are what they claim to be."""

import base64
import contextlib
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from spec.names import secret_name
from tests.clouds.aws import Aws

CONTENT = b"the archive"


def an_archive():
    """With a module, a script and a wheel that has a program in it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        program = zipfile.ZipInfo("thing/_bin/program")
        program.external_attr = 0o755 << 16
        wheel.writestr(program, "#!/bin/sh\n")
        wheel.writestr("thing/__init__.py", "")
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, content in (
            ("boot/edge.sh", b"true\n"),
            ("lb/__init__.py", b""),
            ("wheels/thing-1-py3-none-any.whl", packed.getvalue()),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return raw.getvalue()


@contextlib.contextmanager
def answering(routes):
    """A server that gives `routes[path](headers)`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = routes.get(self.path)
            headers = {k.lower(): v for k, v in self.headers.items()}
            content = found(headers) if found else None
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"not here")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def only(header, value, content):
    return lambda headers: content if headers.get(header) == value else None


@pytest.fixture
def aws(monkeypatch):
    with contextlib.closing(Aws()) as cloud:
        for name, value in cloud.environment.items():
            monkeypatch.setenv(name, value)
        cloud.put("hosts/edge.json", CONTENT)
        cloud.secrets[secret_name("aws", "prod", "edge", "token")] = "t0ken"
        yield SimpleNamespace(cloud="aws", bucket="s3://state", store="eu-west-1", refused=cloud.refused)


@pytest.fixture
def gcp(monkeypatch):
    shown = "Bearer of-google"
    secret = base64.b64encode(b"t0ken").decode()
    token = "/computeMetadata/v1/instance/service-accounts/default/token"
    name = secret_name("gcp", "prod", "edge", "token")
    routes = {
        token: only("metadata-flavor", "Google", b'{"access_token": "of-google", "expires_in": 3599}'),
        "/state/hosts/edge.json": only("authorization", shown, CONTENT),
        f"/v1/projects/acme/secrets/{name}/versions/latest:access": only(
            "authorization", shown, json.dumps({"payload": {"data": secret}}).encode()
        ),
    }
    with answering(routes) as url:
        monkeypatch.setenv("GCE_METADATA_HOST", url.removeprefix("http://"))
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", url + "/")
        yield SimpleNamespace(cloud="gcp", bucket="gs://state", store="acme", refused=[])


@pytest.fixture
def azure(monkeypatch):
    def token(resource):
        path = f"/metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}"
        said = json.dumps({"access_token": f"for {resource}"}).encode()
        return path, only("metadata", "true", said)

    storage, vault = "https%3A%2F%2Fstorage.azure.com%2F", "https%3A%2F%2Fvault.azure.net"
    name = secret_name("azure", "prod", "edge", "token")

    def blob(headers):
        dated = headers.get("x-ms-version") == "2021-08-06" and headers.get("x-ms-date", "").endswith("GMT")
        return CONTENT if dated and headers["authorization"] == f"Bearer for {storage}" else None

    routes = dict([token(storage), token(vault)]) | {
        "/container/hosts/edge.json": blob,
        f"/secrets/{name}?api-version=7.4": only(
            "authorization", f"Bearer for {vault}", b'{"value": "t0ken"}'
        ),
    }
    with answering(routes) as url:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", url)
        monkeypatch.setenv("AZURE_STORAGE_SERVICE_ENDPOINT", url)
        yield SimpleNamespace(cloud="azure", bucket="az://account/container", store=url, refused=[])


@pytest.fixture(params=["aws", "gcp", "azure"])
def host(request, scripts):
    place = request.getfixturevalue(request.param)
    return scripts.host(
        role="edge", env="prod", cloud=place.cloud, bucket=place.bucket, store=place.store, number=1
    )


def test_an_object_of_the_bucket_is_read(host, scripts):
    with scripts("fetch").get(host, "hosts/edge.json") as answer:
        assert answer.read() == CONTENT


def test_an_object_that_is_not_there_is_an_error_that_names_it(host, scripts):
    with pytest.raises(OSError, match=r"hosts/other\.json: 404"):
        scripts("fetch").get(host, "hosts/other.json")


def test_a_secret_becomes_a_file_that_nobody_else_can_read(host, scripts):
    secrets = scripts("host_secrets")
    assert secrets.refresh(host, ["token"]) == {"token"}
    assert (secrets.FOLDER / "token").read_text() == "t0ken"
    assert (secrets.FOLDER / "token").stat().st_mode & 0o777 == 0o600
    assert secrets.FOLDER.stat().st_mode & 0o777 == 0o700
    assert secrets.refresh(host, ["token"]) == set()


def test_a_secret_that_is_not_issued_yet_is_waited_for(scripts, aws, monkeypatch):
    secrets = scripts("host_secrets")
    monkeypatch.setattr(secrets, "_aws", lambda _store, _called: b"{}")
    facts = scripts.host(role="edge", env="prod", cloud="aws", bucket=aws.bucket, store=aws.store)
    with pytest.raises(OSError, match="tradewind/prod/edge/leaf is not issued yet"):
        secrets.refresh(facts, ["leaf"])
    assert not (secrets.FOLDER / "leaf").exists()


def test_every_request_to_aws_is_signed(aws, scripts):
    facts = scripts.host(role="edge", env="prod", cloud="aws", bucket=aws.bucket, store=aws.store)
    scripts("fetch").get(facts, "hosts/edge.json").close()
    assert aws.refused == []


class Bucket:
    """Of a host whose cloud is a dictionary."""

    def __init__(self, scripts, monkeypatch):
        self.objects = {}
        monkeypatch.setattr(scripts("fetch"), "get", lambda _host, key: io.BytesIO(self.objects[key]))

    def name(self, archive, sha256=None):
        self.objects["hosts/a.tar"] = archive
        found = sha256 or hashlib.sha256(archive).hexdigest()
        return json.dumps({"archive": "hosts/a.tar", "sha256": found}).encode()


def test_a_release_is_unpacked_with_its_wheels_and_the_programs_in_them(scripts, monkeypatch):
    pointer = Bucket(scripts, monkeypatch).name(an_archive())
    folder = scripts("fetch").install(scripts.host(role="edge"), pointer)
    assert (folder / "boot/edge.sh").is_file()
    assert (folder / "site/thing/_bin/program").stat().st_mode & 0o111
    assert (folder / "pointer.json").read_bytes() == pointer
    assert not list(folder.glob("wheels/*.whl"))
    assert not (folder / "archive.tar").exists()


def test_an_archive_with_other_bytes_than_the_pointer_names_is_refused_whole(scripts, monkeypatch):
    pointer = Bucket(scripts, monkeypatch).name(an_archive(), sha256="0" * 64)
    with pytest.raises(OSError, match=r"hosts/a\.tar is not what hosts/edge\.json names"):
        scripts("fetch").install(scripts.host(role="edge"), pointer)
    assert not [p for p in (scripts.root / "opt/tradewind/releases").iterdir() if p.suffix != ".part"]


def test_what_a_broken_fetch_left_behind_is_done_anew(scripts, monkeypatch):
    bucket = Bucket(scripts, monkeypatch)
    pointer = bucket.name(an_archive())
    part = scripts.root / "opt/tradewind/releases" / (hashlib.sha256(pointer).hexdigest()[:16] + ".part")
    (part / "half").mkdir(parents=True)
    folder = scripts("fetch").install(scripts.host(role="edge"), pointer)
    assert not (folder / "half").exists()
