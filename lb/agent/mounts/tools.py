"""The clouds' own programs that show a bucket as a folder, and how each is called. Pure.

All stay in the foreground, only read, let other users (containers) in, have their cache in a folder of the agent's, and take
the machine's own identity, so there is no key anywhere.
https://github.com/awslabs/mountpoint-s3/blob/main/doc/CONFIGURATION.md
https://cloud.google.com/storage/docs/cloud-storage-fuse/cli-options
https://github.com/Azure/azure-storage-fuse/blob/main/setup/advancedConfig.yaml
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lb.agent.mounts.mount import Mount

_CACHE_SHARE = 0.8
"""Of what is free on the disk; the other programs keep a part free by themselves."""
_MIB = 1 << 20


@dataclass(frozen=True)
class Call:
    """A program's call: `config` is what is to be in the file `folder`/config.yaml, "" for none."""

    command: list[str]
    config: str = ""


def call(cloud: str, mount: Mount, *, folder: Path, free: int) -> Call:
    """How the mount is made. `folder`: for cache, config and log; `free`: bytes of its disk."""
    return _CALLS[cloud](mount, folder, free)


PROGRAMS: Mapping[str, str] = {"aws": "mount-s3", "gcp": "gcsfuse", "azure": "blobfuse2"}


def _aws(mount: Mount, folder: Path, free: int) -> Call:  # noqa: ARG001 - it leaves a twentieth of the disk free
    name = mount.bucket.removeprefix("s3://")
    prefix = [f"--prefix={mount.key}/"] if mount.key else []
    flags = ["--foreground", "--read-only", "--allow-other", f"--cache={folder / 'cache'}", *prefix]
    return Call([PROGRAMS["aws"], *flags, name, str(mount.path)])


def _gcp(mount: Mount, folder: Path, free: int) -> Call:
    name = mount.bucket.removeprefix("gs://")
    only = [f"--only-dir={mount.key}"] if mount.key else []
    flags = [
        "--foreground",
        "--implicit-dirs",  # keys with slashes are folders, also where nobody has made an object for the folder
        "--o=ro",
        "--o=allow_other",
        f"--cache-dir={folder / 'cache'}",
        f"--file-cache-max-size-mb={int(free * _CACHE_SHARE) // _MIB}",
        "--file-cache-cache-file-for-range-read=true",
        "--file-cache-enable-parallel-downloads=true",
        *only,
    ]
    return Call([PROGRAMS["gcp"], *flags, name, str(mount.path)])


def _azure(mount: Mount, folder: Path, free: int) -> Call:  # noqa: ARG001 - it takes four fifths of what is free
    account, _, container = mount.bucket.removeprefix("az://").partition("/")
    storage = {
        "type": "block",
        "account-name": account,
        "container": container,
        "mode": "msi",
        **({"subdirectory": mount.key} if mount.key else {}),
    }
    # Memory is taken at once, and by default most of what is free, which is the engine's.
    blocks = {
        "block-size-mb": 16,
        "mem-size-mb": 4096,
        "prefetch": 32,
        "parallelism": 64,
        "path": str(folder / "cache"),
        "disk-timeout-sec": 3600,
        "cleanup-on-start": True,
    }
    config = {
        "foreground": True,
        "read-only": True,
        "allow-other": True,
        "logging": {"type": "base", "level": "log_warning", "file-path": str(folder / "blobfuse2.log")},
        "components": ["libfuse", "block_cache", "attr_cache", "azstorage"],
        "block_cache": blocks,
        "azstorage": storage,
    }
    text = json.dumps(config, indent=1)  # which is YAML, too
    file = f"--config-file={folder / 'config.yaml'}"
    return Call([PROGRAMS["azure"], "mount", str(mount.path), file, "--disable-version-check=true"], text)


_CALLS: Mapping[str, Callable[[Mount, Path, int], Call]] = {"aws": _aws, "gcp": _gcp, "azure": _azure}
