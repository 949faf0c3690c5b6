"""Values of the secrets that a bundle names: files on the local cloud, the cloud's own store elsewhere.

They go from there into the environment of what runs, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from lb.agent.bundle import Bundle, BundleError


class SecretSource(Protocol):
    """Where this machine has its secrets."""

    def of(self, bundle: Bundle) -> Mapping[str, str]:
        """Value by name, of those that the bundle names and no others.

        Raises:
            BundleError: there is no such secret, and will be none on this machine.
            clouds.protocol.CloudError: the store did not give it; trying again later may help.

        """
        ...


class FolderSecrets:
    """One file per secret, named like it. `folder`: None = the machine has none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def of(self, bundle: Bundle) -> Mapping[str, str]:
        """See SecretSource."""
        return {name: self._read(name) for name in bundle.secrets}

    def _read(self, name: str) -> str:
        if self._folder is None:
            raise BundleError(
                f"the secret {name} is wanted, but this machine has no secrets (node.json: secrets_dir)"
            )
        if "/" in name or name.startswith("."):
            raise BundleError(f"{name!r} is not the name of a secret")
        try:
            return (self._folder / name).read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError) as e:
            reason = "not there" if isinstance(e, FileNotFoundError) else e
            raise BundleError(f"the secret {name} can't be read from {self._folder}: {reason}") from e


class StoreSecrets:
    """Secrets of one service in its cloud's store. `read`: `clouds.protocol.Cloud.secret`."""

    def __init__(self, read: Callable[[str], bytes], *, cloud: str, env: str, service: str) -> None:
        self._read = read
        self._cloud = cloud
        self._env = env
        self._owner = f"service-{service}"

    def of(self, bundle: Bundle) -> Mapping[str, str]:
        """See SecretSource."""
        return {name: self._value(name) for name in bundle.secrets}

    def _value(self, name: str) -> str:
        called = called_in(self._cloud, self._env, self._owner, name)
        try:
            return self._read(called).decode().removesuffix("\n")
        except UnicodeDecodeError as e:
            raise BundleError(f"the secret {called} is no text, which a variable has to be") from e


def called_in(cloud: str, env: str, owner: str, name: str) -> str:
    """`spec.names.secret_name`, which this folder can't import; a test holds both together."""
    if cloud == "aws":
        return f"tradewind/{env}/{owner}/{name}"
    between, others = ("-", r"[^0-9A-Za-z-]") if cloud == "azure" else ("_", r"[^0-9A-Za-z_-]")
    return re.sub(others, between, between.join(("tradewind", env, owner, name)))
