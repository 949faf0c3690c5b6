"""Today's prices from gpuhunt, in this project's words. The only module here that uses the network.

gpuhunt publishes what it collects from the clouds' own price lists as files, so no credentials are needed. It prices
AWS by region, with the lowest spot price of the region's zones, GCP by zone, Azure and Lambda by region.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from catalog.accelerators import UnknownAccelerator, kind_of
from spec.errors import OutsideError

TIMEOUT_S = 5.0
"""Of each connection, and of the first sign of life."""

PROVIDERS = {"aws": "aws", "azure": "azure", "gcp": "gcp", "lambda": "lambdalabs"}
"""Our clouds by gpuhunt's names; it names the machines of other clouds differently from the table."""


@dataclass(frozen=True, slots=True)
class Quote:
    """One price. `location` is a zone or a region, as the cloud is priced; `price` is USD per hour."""

    cloud: str
    location: str
    instance_type: str
    vcpus: float
    memory_gib: float
    accelerator: str
    accelerator_count: int
    spot: bool
    price: float


@dataclass(frozen=True, slots=True)
class Quotes:
    """What was fetched. `missing`: clouds that were asked for and that nothing came of."""

    quotes: tuple[Quote, ...]
    missing: tuple[str, ...]
    source: str


def fetch(clouds: Sequence[str]) -> Quotes:
    """NVIDIA machines of these clouds (keys of PROVIDERS). Raises OutsideError within seconds when offline."""
    import gpuhunt
    from gpuhunt import version

    logging.getLogger("gpuhunt").setLevel(logging.CRITICAL + 1)  # one line of ours instead of its tracebacks
    _first_sign_of_life()
    catalog = gpuhunt.Catalog(balance_resources=False, auto_reload=False)
    try:
        with _socket_timeout(TIMEOUT_S):
            catalog.load()
    except (gpuhunt.GPUHuntError, OSError, zipfile.BadZipFile, ValueError) as e:
        raise OutsideError(f"gpuhunt's prices can't be fetched: {e}") from None
    wanted = {PROVIDERS[cloud]: cloud for cloud in clouds}
    answered = [provider for provider in wanted if provider in catalog.catalog]
    items = catalog.query(provider=answered) if answered else []
    quotes = [q for item in items if (q := _quote(item, wanted[item.provider])) is not None]
    return Quotes(
        quotes=tuple(quotes),
        missing=tuple(sorted(set(clouds) - {q.cloud for q in quotes})),
        source=f"gpuhunt {version.__version__}",
    )


def _first_sign_of_life() -> None:
    """Looking up a name has no timeout of its own, so one small request goes first, in a thread we need not await."""
    from gpuhunt._internal.catalog import CATALOG_URL

    base = os.environ.get("GPUHUNT_CATALOG_URL", CATALOG_URL).rstrip("/")
    failure: list[str] = [f"no answer within {TIMEOUT_S:g} s"]

    def ask() -> None:
        try:
            with urllib.request.urlopen(f"{base}/aws/version", timeout=TIMEOUT_S):  # noqa: S310  (https, or the user's own)
                failure.clear()
        except (OSError, ValueError) as e:
            failure[:] = [str(e.reason if isinstance(e, urllib.error.URLError) else e)]

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    if failure:
        raise OutsideError(f"no prices: {base} can't be reached ({failure[0]}). The table stays as it is.")


@contextmanager
def _socket_timeout(seconds: float) -> Generator[None]:
    """For downloads on which gpuhunt sets no timeout of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _quote(item: Any, cloud: str) -> Quote | None:
    """None for what the table does not hold: machines without accelerators or with unknown ones."""
    if not item.gpu_count or item.gpu_vendor is None or item.gpu_vendor.value != "nvidia":
        return None
    try:
        kind = kind_of(_name(item.gpu_name, item.gpu_memory))
    except UnknownAccelerator:
        return None
    return Quote(
        cloud=cloud,
        location=item.location,
        instance_type=item.instance_name,
        vcpus=float(item.cpu),
        memory_gib=float(item.memory),
        accelerator=kind.name,
        accelerator_count=int(item.gpu_count),
        spot=bool(item.spot),
        price=float(item.price),
    )


def _name(name: str, memory_gib: float | None) -> str:
    """The two A100s and the two V100s differ by memory only at gpuhunt."""
    if name in {"A100", "V100"} and memory_gib:
        return f"{name}-{memory_gib:g}GB"
    return name
