"""Bundles, and a folder that is the state bucket."""

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

from lb.agent.bundle import Bundle
from lb.agent.fetch import FolderBucket

POOL = "chat.local.local-east-a.L4x1.spot"


def archive(*members, **manifest):
    """A bundle's archive: `members` are (TarInfo or name, bytes), `manifest` overrides fields of bundle.json."""
    content = {
        "schema": 1,
        "setup": "",
        "run": "sleep 60",
        "image": None,
        "envs": {},
        "secrets": [],
        "port": 8000,
    }
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for member, data in (("bundle.json", json.dumps(content | manifest).encode()), *members):
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(data) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(data))
    return raw.getvalue()


@dataclass
class Bucket:
    root: Path

    def put(self, data, *, name=None):
        """Stores a bundle; under its own hash, if no other name is given."""
        sha256 = name or hashlib.sha256(data).hexdigest()
        (self.root / "bundles").mkdir(exist_ok=True)
        (self.root / f"bundles/{sha256}.tar.gz").write_bytes(data)
        return sha256

    def assign(self, sha256, **fields):
        content = {"schema": 1, "pool_id": POOL, "default": sha256, "instances": {}} | fields
        self.write(json.dumps(content))

    def write(self, text):
        (self.root / "assignments").mkdir(exist_ok=True)
        (self.root / f"assignments/{POOL}.json").write_text(text)

    @property
    def door(self):
        return FolderBucket(self.root)


def a_bundle(root, **fields):
    """One that is unpacked already."""
    (root / "workdir").mkdir(exist_ok=True)
    given = {
        "setup": "",
        "run": "serve",
        "image": None,
        "envs": {},
        "secrets": (),
        "num_gpus": None,
        "port": 8000,
    }
    return Bundle(sha256="b" * 64, root=root, **given | fields)
