"""One edge's files: taken over from a snapshot, or refused as a whole.

Everything here is synchronous: a stop signal never comes between two renames.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import structlog

from lb.edge import last, write
from lb.edge.metrics import Metrics
from lb.envoy import names, order, xds
from spec.errors import OutsideError
from spec.snapshot import Snapshot

_log = structlog.get_logger()


class Refused(Exception):
    """A snapshot is not taken over; `reason` is a word for metrics."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


class Edge:
    """Owns the edge's directory; `snapshot` is what it serves, None before the first one.

    `mutual`: whether the edge has a certificate of its own for replicas.
    """

    def __init__(self, *, edge_id: str, directory: Path, metrics: Metrics, mutual: bool = False) -> None:
        self._mutual = mutual
        self.edge_id = edge_id
        self.directory = directory
        self.snapshot: Snapshot | None = None
        self._metrics = metrics
        self._lock: int | None = None

    def open(self) -> None:
        """Takes the directory for this agent alone, and brings its files to the last snapshot.

        Without one it writes files with which Envoy starts and lets nobody in. When only the last snapshot is
        unreadable, files of an earlier run stay as they are. Raises OutsideError.
        """
        try:
            write.make_private(self.directory)
            self._lock = _lock(self.directory)
            write.make_private(names.xds_dir(self.directory))
            _make_socket_folder(names.admin_socket(self.directory).parent, self.directory)
            self.snapshot = last.load(self.directory)
            if self.snapshot is not None or not self._complete():
                self._write(self.snapshot)
        except OSError as e:
            raise OutsideError(f"{self.directory}: {e.strerror}: {e.filename or ''}") from e
        self._show()

    def close(self) -> None:
        """Lets another agent have the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def take_over(self, snapshot: Snapshot, *, source: str) -> None:
        """Brings the files to this snapshot. Raises Refused when it is another edge's, not newer or unusable.

        A snapshot that could not be written completely is written again at the next one or the next start.
        """
        try:
            self._check(snapshot)
            files = self._render(snapshot)
        except Refused as e:
            self._metrics.refused.labels(e.reason).inc()
            raise
        for sentence in xds.problems(snapshot):
            _log.warning("snapshot_problem", problem=sentence)
        try:
            last.save(self.directory, snapshot)
            changed = self._carry_out(files)
        except OSError as e:
            self._metrics.refused.labels("not_written").inc()
            raise Refused("not_written", f"the files can't be written: {e}") from e
        self.snapshot = snapshot
        self._metrics.applied.labels(source).inc()
        self._show()
        _log.info(
            "snapshot_applied", given_by=source, epoch=snapshot.epoch, seq=snapshot.seq, files_changed=changed
        )

    @property
    def version(self) -> tuple[int, int] | None:
        """(epoch, seq) of what is served."""
        return self.snapshot.version if self.snapshot else None

    def _check(self, snapshot: Snapshot) -> None:
        if snapshot.edge_id != self.edge_id:
            raise Refused("other_edge", f"the snapshot is for edge {snapshot.edge_id!r}")
        if self.snapshot is None:
            return
        if snapshot.epoch < self.snapshot.epoch:
            raise Refused(
                "lower_epoch", f"epoch {snapshot.epoch} is older than {self.snapshot.epoch}, which is served"
            )
        if snapshot.version <= self.snapshot.version:
            raise Refused("not_newer", f"{snapshot.version} is not newer than {self.snapshot.version}")

    def _render(self, snapshot: Snapshot | None) -> dict[str, str]:
        try:
            return xds.render(snapshot, directory=self.directory, mutual=self._mutual)
        except ValueError as e:
            raise Refused("unusable", str(e)) from e

    def _write(self, snapshot: Snapshot | None) -> None:
        try:
            self._carry_out(self._render(snapshot))
        except Refused as e:  # kept by an older agent that knew how to render it
            _log.error("last_snapshot_unusable", reason=str(e))
            self.snapshot = None
            if not self._complete():
                self._carry_out(self._render(None))

    def _carry_out(self, files: dict[str, str]) -> int:
        folder = names.xds_dir(self.directory)
        return write.carry_out(folder, order.steps(write.read_files(folder), files))

    def _complete(self) -> bool:
        """Whether Envoy could start on the files that are there."""
        needed = {names.CDS_FILE, names.RDS_FILE, names.KEYS_FILE, names.BODY_LIMIT_FILE}
        return needed <= write.read_files(names.xds_dir(self.directory)).keys()

    def _show(self) -> None:
        if self.snapshot is not None:
            self._metrics.epoch.set(self.snapshot.epoch)
            self._metrics.seq.set(self.snapshot.seq)


def _lock(directory: Path) -> int:
    descriptor = os.open(directory / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as e:
        os.close(descriptor)
        raise OutsideError(
            f"another edge agent already serves {directory}; end it first, or give this one its own `dir`"
        ) from e
    return descriptor


def _make_socket_folder(folder: Path, directory: Path) -> None:
    """The admin socket's folder, when it isn't the edge's own: nobody else may have made it first."""
    if folder == directory:
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise OutsideError(f"{folder} belongs to somebody else or is open to others; remove it")
