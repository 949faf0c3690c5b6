"""Keeps the secrets of a host as files in memory, private to the service that reads them, and nowhere else.

They come from the cloud's own store by the machine's identity, again and again, because certificates are renewed and
tokens rotated. A file is replaced whole, so nobody reads half of one.

    python3 secrets.py   waits until all secrets of this release's settings are there
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
import time
from pathlib import Path

import fetch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from spec.names import secret_name

FOLDER = fetch.ROOT / "run/tradewind/secrets"
USER = "tradewind"
NOT_ISSUED = b"{}"
"""What the controller has not written yet; `spec.certificates` says so."""


def read(host: fetch.Host, owner: str, name: str) -> bytes:
    """The value of a secret that this machine may read. Raises OSError; also for one that was not issued yet."""
    called, store = secret_name(host["cloud"], host["env"], owner, name), host["store"]
    try:
        value = {"aws": _aws, "gcp": _gcp, "azure": _azure}[host["cloud"]](store, called)
    except OSError as e:
        raise OSError(f"{called}: {e}") from None
    if value == NOT_ISSUED:
        raise OSError(f"{called} is not issued yet; the controller does it")
    return value


def refresh(host: fetch.Host, names: list[str]) -> set[str]:
    """Brings the files of the role's secrets up to date; the names of those that changed.

    Raises OSError when one can't be read.
    """
    _private(FOLDER)
    return {name for name in names if _replace(FOLDER / name, read(host, host["role"], name))}


def _replace(path: Path, value: bytes) -> bool:
    if path.is_file() and path.read_bytes() == value:
        return False
    new = path.with_name(f".{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(value)
    _give(new)
    new.replace(path)
    return True


def _private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    _give(folder)


def _give(path: Path) -> None:
    """To the services' user; whoever is not root is that user already."""
    if os.geteuid() == 0 and not os.environ.get("TRADEWIND_ROOT"):
        shutil.chown(path, USER, USER)


def _aws(region: str, called: str) -> bytes:
    base = os.environ.get("AWS_ENDPOINT_URL_SECRETS_MANAGER")
    url = f"{base or f'https://secretsmanager.{region}.amazonaws.com'}/"
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": "secretsmanager.GetSecretValue",
    }
    body = json.dumps({"SecretId": called}).encode()
    return json.load(fetch.aws("secretsmanager", region, url, headers, body))["SecretString"].encode()


def _gcp(project: str, called: str) -> bytes:
    base = os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER")
    base = (base or "https://secretmanager.googleapis.com").rstrip("/")
    url = f"{base}/v1/projects/{project}/secrets/{called}/versions/latest:access"
    answer = json.load(fetch.ask(url, {"authorization": fetch.google_token()}))
    return base64.b64decode(answer["payload"]["data"])


def _azure(vault: str, called: str) -> bytes:
    url = f"{vault.rstrip('/')}/secrets/{called}?api-version=7.4"
    token = fetch.azure_token("https://vault.azure.net")
    return json.load(fetch.ask(url, {"authorization": token}))["value"].encode()


def main() -> None:
    """Waits, and says for what."""
    import settings

    host, names, said = fetch.read_host(), settings.secrets(settings.of_this_release()), ""
    while True:
        try:
            refresh(host, names)
        except (OSError, ValueError, LookupError) as e:
            if str(e) != said:
                print(f"tradewind: waiting for secrets: {e}", file=sys.stderr, flush=True)
            said = str(e)
            time.sleep(5)
        else:
            return


if __name__ == "__main__":
    main()
