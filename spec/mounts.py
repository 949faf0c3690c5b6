"""`file_mounts`: where something appears on a machine, and the bucket or the folder that it comes from.

A bucket is read by the machine's own identity, which only its own cloud knows, so each source has a home. Azure's long
form `https://<account>.blob.core.windows.net/<container>` is brought to `az://<account>/<container>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import Any

from spec.errors import Problem, did_you_mean
from spec.quantities import Wrong
from spec.service import Mount
from spec.source import Node

HOMES = {"s3": "aws", "gs": "gcp", "az": "azure"}
"""Which cloud's machines read a bucket, by the scheme of its URL."""

_STORES = {"aws": "s3", "gcp": "gcs", "azure": "azure"}
"""SkyPilot's words for `store`."""
_NAMES = {
    "s3": re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
    "gs": re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"),
    "az": re.compile(r"[a-z0-9]{3,24}/(?:[a-z0-9](?:-?[a-z0-9]){2,62}|\$root|\$web)"),
}
_FORMS = {"s3": "s3://bucket/path", "gs": "gs://bucket/path", "az": "az://account/container/path"}
_BLOB = re.compile(r"https://([a-z0-9]+)\.blob\.core\.windows\.net/(.+)")
_KEY_BYTES = 1024
_NEEDED = (
    *("/proc", "/sys", "/dev", "/boot", "/run", "/bin", "/sbin", "/lib", "/lib64"),
    *("/opt/tradewind", "/etc/tradewind", "/etc/systemd", "/var/lib/tradewind"),
)
"""Folders of the machine's own, with all that is in them."""
_WHOLE = (
    *("/", "~", "/etc", "/usr", "/usr/bin", "/usr/lib", "/var", "/var/lib", "/home", "/root", "/opt"),
    "/tmp",  # noqa: S108 - nothing is written there
)
"""Folders that hold more than what would be mounted there; one inside of them will do."""
_BUCKETS = "Name a bucket that is there: " + ", ".join(f"`{form}`" for form in _FORMS.values()) + "."


def target(value: str) -> str:
    """A path on the machine: absolute, or in the home folder. Raises Wrong."""
    path = PurePosixPath(value)
    if not (value.startswith(("/", "~/")) or value == "~"):
        raise Wrong("must be a path on the machine, which begins with `/` or `~/`", "For example `/models`.")
    if ".." in path.parts or ":" in value or not value.isprintable():
        raise Wrong(
            "must be a plain path, without `..`, `:` and control characters", "For example `/models`."
        )
    clean = f"/{str(path).lstrip('/')}" if value.startswith("/") else str(path)
    if clean in _WHOLE or any(clean == n or clean.startswith(f"{n}/") for n in _NEEDED):
        raise Wrong("is a folder that the machine itself needs", "For example `/models` or `/data/models`.")
    return clean


def source(value: Any) -> str:
    """A bucket's URL, or a path of this computer as written. Raises Wrong."""
    if not isinstance(value, str) or not value.strip():
        raise Wrong("must be a bucket's URL or a path", _BUCKETS)
    value = value.strip()
    if match := _BLOB.fullmatch(value):
        value = f"az://{match[1]}/{match[2]}"
    scheme, separator, rest = value.partition("://")
    if not separator:
        return value
    if scheme not in HOMES:
        near = did_you_mean(scheme, HOMES)
        raise Wrong("is in no store that machines can read", f"{near} {_BUCKETS}" if near else _BUCKETS)
    parts = 2 if scheme == "az" else 1
    name, key = "/".join(rest.split("/")[:parts]), "/".join(rest.split("/")[parts:])
    if not _NAMES[scheme].fullmatch(name):
        raise Wrong(f"must be written like `{_FORMS[scheme]}`", "Names of buckets are in lower case.")
    folders = key.rstrip("/").split("/") if key.rstrip("/") else []
    if len(key.encode()) > _KEY_BYTES or any(f in {"", ".", ".."} for f in folders) or not key.isprintable():
        raise Wrong(
            "must have a plain path after the bucket, without `..` and `//`", f"As in `{_FORMS[scheme]}`."
        )
    return value


def home(of: str) -> str | None:
    """The cloud whose machines can read a source; None for a path of this computer."""
    scheme, separator, _ = of.partition("://")
    return HOMES.get(scheme) if separator else None


def bucket(of: str) -> tuple[str, str]:
    """A bucket's name (Azure: `account/container`) and the path in it, without a slash at its end; "" for all of it."""
    scheme, _, rest = of.partition("://")
    steps = rest.split("/")
    parts = 2 if scheme == "az" else 1
    return "/".join(steps[:parts]), "/".join(steps[parts:]).rstrip("/")


def homes(mounts: tuple[Mount, ...]) -> dict[str, str]:
    """By cloud, one of the sources that only its machines can read."""
    return {cloud: m.source for m in reversed(mounts) if (cloud := home(m.source))}


# ---------------------------------------------------------------- what spans fields


def problems_of_mounts(root: Node, path: Path) -> list[Problem]:
    """What is wrong with the mounts of the file at `path` beyond single fields."""
    mounts = root.at("file_mounts")
    if mounts is None or not isinstance(mounts.value, dict):
        return []
    found = [p for node in mounts.fields.values() for p in _entry(node, path)]
    return [*found, *_nested(mounts.fields, path), *_several_clouds(mounts.fields, path)]


def _entry(node: Node, path: Path) -> Iterator[Problem]:
    where, store = node.at("source"), node.at("store")
    if where is None or where.value is None:
        if isinstance(node.value, dict):
            message = "is missing: buckets are not made, only read."
            yield Problem(str(path), f"{node.path}.source", message, node.line, hint=_BUCKETS)
        return
    try:
        of = source(where.value)
    except Wrong:
        return  # said where the field is read
    cloud = home(of)
    if cloud is None:
        yield from _local(node, where, path)
    elif store is not None and store.value != _STORES[cloud]:
        message, hint = f"does not fit the source, which is in `{_STORES[cloud]}`.", "Leave it out."
        yield Problem(str(path), store.path, message, store.line, store.value, hint)


def _local(node: Node, where: Node, path: Path) -> Iterator[Problem]:
    """A path of this computer, which goes into the bundle. SkyPilot would upload it to a bucket for other uses."""
    mode = node.at("mode")
    for other in (node.at("name"), node.at("store"), mode if mode and mode.value != "COPY" else None):
        if other is not None:
            message = "would make a bucket and upload a folder to it, which Tradewind does not do."
            hint = f"Upload it yourself and name the bucket, or leave `{other.path.rpartition('.')[2]}` out: what is small goes along as a copy."
            yield Problem(str(path), other.path, message, other.line, other.value, hint)
            return
    try:
        there = (path.parent / Path(str(where.value)).expanduser()).exists()
    except (OSError, ValueError, RuntimeError):
        there = False
    if not there:
        hint = f"It is looked for beside the service file. {_BUCKETS}"
        message = f"there is no file or folder `{where.text}`."
        yield Problem(str(path), where.path, message, where.line, where.value, hint)


def _nested(mounts: Mapping[str, Node], path: Path) -> Iterator[Problem]:
    """One inside of another would hide it, or be hidden, by the order in which they come."""
    folders = {name: PurePosixPath(name.rstrip("/") or "/") for name in mounts}
    for (one, above), (other, below) in combinations(sorted(folders.items(), key=lambda f: f[1]), 2):
        if above == below or above in below.parents:
            message = f"is in `{one}`, which is mounted too."
            hint = "Choose targets beside each other."
            yield Problem(str(path), mounts[other].path, message, mounts[other].line, hint=hint)


def _several_clouds(mounts: Mapping[str, Node], path: Path) -> Iterator[Problem]:
    read = [
        (cloud, where)
        for node in mounts.values()
        if (where := node.at("source")) and (cloud := home(str(where.value)))
    ]
    for cloud, where in read:
        first, one = read[0]
        if cloud != first:
            message = f"is a bucket of {cloud}, and `{one.value}` one of {first}: no machine can read both."
            hint = "Keep the buckets of a service in one cloud, or write a service file for each cloud."
            yield Problem(str(path), where.path, message, where.line, where.value, hint)
            return
