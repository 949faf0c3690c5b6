"""The disk's side of a copy: nothing lands outside of its target, and a disk that is too small is said before it is full."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lb.agent.mounts.mount import MountError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_PARTS = ".tradewind-copy"
_GB = 1e9


def check_name(target: Path, name: str, *, of: str) -> None:
    """`name`: of a file below the target, as in the bucket; "" for the target itself. Raises MountError."""
    steps = name.split("/") if name else []
    if any(s in {"", ".", ".."} or "\0" in s for s in steps) or steps[:1] == [_PARTS]:
        raise MountError(f"{of}: a key like this can't be a file below {target}; rename the object")


def place(target: Path, name: str, *, of: str) -> Path:
    """Where a file goes, its folder made. Raises MountError and OSError."""
    path = target / name if name else target
    if link := next((p for p in _between(target, path) if p.is_symlink()), None):
        raise MountError(f"{of}: {link} is a link, and nothing is written through links; remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def parts_of(target: Path, *, single: bool) -> Path:
    """A folder for unfinished files, on the same disk as the target, which may be a disk of its own."""
    return target.parent / f".{target.name}{_PARTS}" if single else target / _PARTS


def has(path: Path, size: int) -> bool:
    """Whether there is a file of that size."""
    try:
        return path.is_file() and not path.is_symlink() and path.stat().st_size == size
    except OSError:
        return False


def remove(target: Path, names: Iterable[str]) -> None:
    """Files that were copied and are not wanted any more, and folders that are empty without them."""
    for name in sorted(names):
        path = target / name if name else target
        if any(p.is_symlink() for p in _between(target, path)):
            continue
        with suppress(OSError):
            path.unlink()
            for above in _between(target, path):
                above.rmdir()


def _between(target: Path, path: Path) -> list[Path]:
    """The folders below the target that lead to a path, the innermost first."""
    return [p for p in path.parents if target in p.parents]


def check_room(wanted: dict[Path, int]) -> None:
    """Bytes that are still to come, by target. Raises MountError where a disk has not got them."""
    disks: dict[int, tuple[Path, int]] = {}
    for target, size in wanted.items():
        there = next(p for p in (target, *target.parents) if p.exists())
        first, sum_ = disks.get(there.stat().st_dev, (there, 0))
        disks[there.stat().st_dev] = (first, sum_ + size)
    for there, size in disks.values():
        free = shutil.disk_usage(there).free
        if size > free:
            raise MountError(
                f"the disk of {there} is too small: {shown(size)} are still to be copied, and {shown(free)} are "
                "free; raise `disk_size` in `resources`, or mount the bucket (`mode: MOUNT`)"
            )


def why(e: OSError) -> str:
    """What has failed, and for a full disk the way out."""
    where = f"{e.filename}: " if e.filename else ""
    if e.errno in _FULL:
        return (
            f"{where}the disk is full; raise `disk_size` in `resources`, or mount the bucket (`mode: MOUNT`)"
        )
    return f"{where}{e.strerror or e}"


def shown(size: int) -> str:
    """Bytes for people."""
    return f"{size / _GB:.1f} GB" if size >= _GB / 10 else f"{size / 1e6:.1f} MB"
