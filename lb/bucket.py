"""The state bucket: S3, GCS, Blob storage or a folder, behind six calls and two errors.

Everything that the stack, the controller, the edges and the node agents tell each other goes through here. The only
conditional write is create-if-absent, because that is the one that all four stores have.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import SplitResult, unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import AzureStore, GCSStore, LocalStore, ObjectStore, S3Store

from spec.errors import InputError, OutsideError

SCHEMES = ("file", "s3", "gs", "az")
AT_ONCE = 32
"""Calls of one `for_each`: a write to a cloud's store takes tens of milliseconds, and a fleet has hundreds of objects."""

CALL_LIMIT_S = 30

Credentials = Callable[[], Mapping[str, Any]]
"""What a cloud's store wants to be shown, and when it ends; asked again then."""

_T = TypeVar("_T")


class BucketError(OutsideError):
    """The bucket did not do what was asked for: unreachable, denied, full."""


class ObjectNotFound(BucketError):
    """There is no object of that name."""


@dataclass(frozen=True, slots=True)
class Object:
    """An object in a listing. `size` in bytes, `modified` in epoch seconds by the store's clock."""

    path: str
    size: int
    modified: float


class Bucket:
    """One bucket, or one folder of it. All calls raise BucketError when the store fails."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def get(self, path: str) -> bytes:
        """The whole object; raises ObjectNotFound."""
        try:
            result = await obstore.get_async(self._store, path)
            return bytes(await result.bytes_async())
        except FileNotFoundError as e:
            raise ObjectNotFound(f"{path} is not in the state bucket") from e
        except (BaseError, OSError) as e:
            raise _failed("read", path, e) from e

    async def put(self, path: str, data: bytes) -> None:
        """Writes the object whole or not at all, over an existing one."""
        try:
            await obstore.put_async(self._store, path, data, use_multipart=False)
        except (BaseError, OSError) as e:
            raise _failed("write", path, e) from e

    async def create_if_absent(self, path: str, data: bytes) -> bool:
        """Writes the object unless one of that name exists; of several callers exactly one gets True."""
        try:
            await obstore.put_async(self._store, path, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as e:
            raise _failed("create", path, e) from e
        return True

    async def objects(self, folder: str, *, after: str | None = None) -> list[Object]:
        """Objects below `folder`, sorted by name; with `after`, only those whose names sort later."""
        try:
            found = await obstore.list(self._store, prefix=folder).collect_async()
        except (BaseError, OSError) as e:
            raise _failed("list", folder, e) from e
        # Chosen here: not every Azure begins a listing where it is asked to, and none says that it did not.
        # https://github.com/apache/arrow-rs-object-store/issues/695
        later = (o for o in found if after is None or o["path"] > after)
        objects = (Object(o["path"], o["size"], o["last_modified"].timestamp()) for o in later)
        return sorted(objects, key=lambda o: o.path)

    async def delete(self, *paths: str) -> None:
        """Removes objects; one that is not there counts as removed."""
        for path in paths:
            try:
                await obstore.delete_async(self._store, path)
            except FileNotFoundError:
                continue
            except (BaseError, OSError) as e:
                raise _failed("delete", path, e) from e


async def for_each(call: Callable[[_T], Awaitable[None]], items: Iterable[_T]) -> None:
    """Makes the call for each item, several at the same time. All are made; then the first failure is raised."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(item: _T) -> None:
        async with slots:
            await call(item)

    for result in await asyncio.gather(*(one(i) for i in items), return_exceptions=True):
        if result is not None:
            raise result


def open_bucket(
    url: str, *, credentials: Credentials | None = None, region: str = "", limit_s: float | None = None
) -> Bucket:
    """The bucket at `file:///folder`, `s3://bucket/prefix`, `gs://...` or `az://account/container`.

    A folder is made when missing. `credentials`: None = as each cloud's own tools find them; `region`: of an S3 bucket.
    `limit_s`: of a call with its retries, for somebody who looks on; None = with the patience of a service.
    Raises InputError for any other URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise InputError(
            f"bucket: {url!r} is not a bucket; use one of {', '.join(f'{s}://' for s in SCHEMES)}"
        )
    if parts.scheme != "file":
        return Bucket(_store(parts, credentials, region, limit_s))
    folder = Path(unquote(parts.path))
    if parts.netloc or not folder.is_absolute():
        raise InputError(f"bucket: {url!r} must name an absolute folder, as in file:///var/lib/tradewind")
    try:
        return Bucket(LocalStore(prefix=folder, mkdir=True))
    except (BaseError, OSError) as e:
        raise _failed("open", str(folder), e) from e


def _store(
    parts: SplitResult, credentials: Credentials | None, region: str, limit_s: float | None
) -> ObjectStore:
    """A cloud's store. An answer takes as long as a tick may: what is slower is asked again next time."""
    prefix = parts.path.strip("/") or None
    cloud = {"s3": "AWS", "gs": "GOOGLE", "az": "AZURE"}[parts.scheme]
    plain = os.environ.get(f"{cloud}_ALLOW_HTTP", "").lower() == "true"  # as without options of ours
    options = {
        "timeout": f"{1000 * (limit_s or CALL_LIMIT_S):.0f}ms",
        "connect_timeout": "5s",
        "allow_http": plain,
    }
    given: dict[str, Any] = {"client_options": options, "credential_provider": credentials}
    if limit_s is not None:
        given["retry_config"] = {"max_retries": 2, "retry_timeout": timedelta(seconds=limit_s)}
    if parts.scheme == "s3":
        config = {"region": region} if region else None
        return S3Store(parts.netloc, prefix=prefix, config=config, **given)
    if parts.scheme == "gs":
        return GCSStore(parts.netloc, prefix=prefix, **given)
    container, _, below = (prefix or "").partition("/")
    if not container:
        raise InputError(
            f"bucket: {parts.geturl()!r} must name account and container, as in az://account/container"
        )
    return AzureStore(container, prefix=below or None, account_name=parts.netloc, **given)


def leave(code: int) -> NoReturn:
    """Ends the process with that code, at once.

    The store's threads call into the interpreter, also while it is taken down: 3 of 100 programs that had used a
    store ended with SIGABRT instead.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _failed(verb: str, path: str, error: Exception) -> BucketError:
    """The first line only: the store appends its debug structure to every message."""
    return BucketError(
        f"cannot {verb} {path}: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    )
