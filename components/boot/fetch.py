#!/usr/bin/env python3
"""Brings this machine's code from its bucket and starts it, with nothing but Python 3.10 and the machine's own identity.

It stands in the machine's user data, so an edit of it is an edit of every template and host: what can change with the
archive belongs into the archive.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import sys
import tarfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from email.utils import formatdate, parsedate_to_datetime
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

Host = dict[str, Any]

ROOT = Path(os.environ.get("TRADEWIND_ROOT") or "/")
HOME = ROOT / "opt/tradewind"
CURRENT = HOME / "current"
TIMEOUT_S = 30
_late_s = 0.0  # of this machine's clock, as AWS says when it refuses a signature for that
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


def read_host() -> Host:
    """Who this machine is, as its user data says it."""
    return json.loads((ROOT / "etc/tradewind/host.json").read_text())


def pointer_key(host: Host) -> str:
    """The object that names the archive of this machine's role."""
    return f"hosts/{host['role']}.json"


def install(host: Host, pointer: bytes) -> Path:
    """The folder of the release that the pointer's bytes describe; fetched, verified and unpacked when it is not there."""
    folder = HOME / "releases" / hashlib.sha256(pointer).hexdigest()[:16]
    if folder.is_dir():
        return folder
    wanted, part = json.loads(pointer), folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    archive, digest = part / "archive.tar", hashlib.sha256()
    with get(host, wanted["archive"]) as source, archive.open("wb") as to:
        while piece := source.read(1 << 20):
            digest.update(piece)
            to.write(piece)
    if digest.hexdigest() != wanted["sha256"]:
        raise OSError(f"{wanted['archive']} is not what {pointer_key(host)} names: {digest.hexdigest()}")
    safe: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    with tarfile.open(archive) as tar:
        tar.extractall(part, **safe)  # noqa: S202 - its hash was compared
    archive.unlink()
    for wheel in sorted(part.glob("wheels/*.whl")):
        _unpack(wheel, part / "site")
    (part / "pointer.json").write_bytes(pointer)
    part.rename(folder)
    return folder


def _unpack(wheel: Path, to: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        for entry in packed.infolist():
            path = Path(packed.extract(entry, to))
            if entry.external_attr >> 16 & 0o111:  # a program: zipfile forgets that
                path.chmod(path.stat().st_mode | 0o111)
    wheel.unlink()


def get(host: Host, key: str) -> HTTPResponse:
    """The open answer with an object of the bucket; raises OSError."""
    kind, _, place = host["bucket"].partition("://")
    key = urllib.parse.quote(key)
    if kind == "s3":
        base = os.environ.get("AWS_ENDPOINT_URL_S3")
        url = f"{base}/{place}" if base else f"https://{place}.s3.{host['store']}.amazonaws.com"
        return aws("s3", host["store"], f"{url}/{key}", {})
    if kind == "gs":
        base = os.environ.get("STORAGE_EMULATOR_HOST") or "https://storage.googleapis.com"
        return ask(f"{base}/{place}/{key}", {"authorization": google_token()})
    account, _, container = place.partition("/")
    base = os.environ.get("AZURE_STORAGE_SERVICE_ENDPOINT") or f"https://{account}.blob.core.windows.net"
    shown = {"authorization": azure_token("https://storage.azure.com/")}
    dated = {"x-ms-version": "2021-08-06", "x-ms-date": formatdate(usegmt=True)}
    return ask(f"{base}/{container}/{key}", shown | dated)


def aws(
    service: str, region: str, url: str, headers: dict[str, str], body: bytes | None = None
) -> HTTPResponse:
    """One request signed with Signature Version 4 by the instance's role; a POST when it has a body."""
    base = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254").rstrip("/")
    ttl = {"x-aws-ec2-metadata-token-ttl-seconds": "300"}
    token = ask(f"{base}/latest/api/token", ttl, method="PUT").read().decode()
    roles, shown = f"{base}/latest/meta-data/iam/security-credentials/", {"x-aws-ec2-metadata-token": token}
    mine = json.load(ask(roles + ask(roles, shown).read().decode().split()[0], shown))
    parts, now = (
        urllib.parse.urlsplit(url),
        time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() + _late_s)),
    )
    hashed = hashlib.sha256(body or b"").hexdigest()
    headers = {**headers, "host": parts.netloc, "x-amz-content-sha256": hashed, "x-amz-date": now}
    headers["x-amz-security-token"] = mine["Token"]
    names = ";".join(sorted(headers))
    lines = [f"{name}:{headers[name]}" for name in sorted(headers)]
    method = "GET" if body is None else "POST"
    request = "\n".join([method, parts.path, parts.query, *lines, "", names, hashed])
    scope = f"{now[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{mine['SecretAccessKey']}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), "sha256").digest()
    credential = f"AWS4-HMAC-SHA256 Credential={mine['AccessKeyId']}/{scope}"
    headers["authorization"] = f"{credential}, SignedHeaders={names}, Signature={key.hex()}"
    return ask(url, headers, body)


def google_token() -> str:
    """What the machine's service account shows."""
    base = f"http://{os.environ.get('GCE_METADATA_HOST') or 'metadata.google.internal'}"
    url = f"{base}/computeMetadata/v1/instance/service-accounts/default/token"
    return "Bearer " + json.load(ask(url, {"metadata-flavor": "Google"}))["access_token"]


def azure_token(resource: str) -> str:
    """What the machine's identity shows to a resource."""
    base = os.environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST") or "http://169.254.169.254"
    query = urllib.parse.urlencode({"api-version": "2018-02-01", "resource": resource})
    url = f"{base}/metadata/identity/oauth2/token?{query}"
    return "Bearer " + json.load(ask(url, {"metadata": "true"}))["access_token"]


def ask(
    url: str, headers: dict[str, str], body: bytes | None = None, method: str | None = None
) -> HTTPResponse:
    """The open answer of one HTTP request; raises OSError, which says what was asked."""
    global _late_s  # noqa: PLW0603 - there is one clock
    request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310 - ours, or the cloud's
    try:
        return _open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as e:
        said = e.read(300).decode(errors="replace")
        if "RequestTimeTooSkewed" in said:
            _late_s = parsedate_to_datetime(e.headers["date"]).timestamp() - time.time()
        raise OSError(f"{url.partition('?')[0]}: {e.code} {said}") from None
    except urllib.error.URLError as e:
        raise OSError(f"{url.partition('?')[0]}: {e.reason}") from None


def main() -> None:
    """Becomes the role's script of the release that is current, or of the one that the bucket names; tries for ever."""
    host, pause = read_host(), 2
    while True:
        try:
            current = CURRENT.exists()
            folder = CURRENT.resolve() if current else install(host, get(host, pointer_key(host)).read())
            os.execvp("bash", ["bash", str(folder / "boot" / f"{host['role']}.sh")])  # noqa: S606
        except (OSError, ValueError, LookupError, tarfile.TarError, zipfile.BadZipFile) as e:
            print(f"tradewind: {e}; tried again in {pause} s", file=sys.stderr, flush=True)
            time.sleep(pause)
            pause = min(pause * 2, 60)


if __name__ == "__main__":
    main()
