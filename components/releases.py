"""What hosts and nodes run: an archive for each role, and the pointer by which a bucket names it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pulumi

from components.boot import pointers
from components.cloud import Store
from spec.errors import OutsideError
from tools import archive


class Releases:
    """The archive of each role in the bucket of every cloud that has machines of it."""

    def __init__(
        self, stores: Mapping[str, Store], roles: Iterable[tuple[str, str]], opts: pulumi.ResourceOptions
    ) -> None:
        """`roles`: clouds and the roles of their machines. Raises OutsideError when an archive can't be made."""
        self._stores, self._opts = stores, opts
        try:
            self._built = {kind: archive.build(kind) for kind in archive.KINDS}
        except archive.NoArchive as e:
            raise OutsideError(str(e)) from None
        for cloud, kind in roles:
            of = self._built[kind]
            stores[cloud].write(f"{kind}-archive-{cloud}", of.key, pulumi.FileAsset(str(of.path)), opts)

    def point(self, cloud: str, kind: str, settings: dict[str, Any]) -> None:
        """Names the archive and the settings of a role: machines that run go over to them, one at a time."""
        of = self._built[kind]
        text = pulumi.Output.from_input(settings).apply(
            lambda known: pointers.pointer(archive=of.key, sha256=of.sha256, settings=known)
        )
        self._stores[cloud].write(f"{kind}-pointer-{cloud}", pointers.pointer_key(kind), text, self._opts)
