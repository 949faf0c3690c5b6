"""An edge's certificates: read from the files that the host keeps, handed to Envoy, and shown to nobody half-written.

What callers see is the user's own (certificate and key in two files, which may be read in the middle of a change) or what
the controller issued (one file). What replicas and the controller see is always one file. Everything is checked before
Envoy gets it, because it would refuse all later files together with a broken one.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import structlog

from lb.edge import write
from lb.edge.config import EdgeConfig
from lb.envoy import names, tls
from lb.mutual import Mutual, load
from spec.certificates import Leaf, parse_leaf
from spec.errors import InputError, OutsideError

_log = structlog.get_logger()

LOOK_EVERY_S = 10.0


class Certificates:
    """`mutual`: what is shown to the controller; None on an edge without a leaf. Raises what `refresh` does."""

    def __init__(self, config: EdgeConfig) -> None:
        self._config = config
        self._written: dict[str, str] = {}
        self._said: str | None = None
        self.mutual: Mutual | None = None
        self.refresh()

    async def run(self) -> None:
        """Looks for renewed ones, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                self.refresh()
            except (InputError, OutsideError) as e:
                if self._said != str(e):  # once per reason
                    _log.warning("certificate_not_taken", reason=str(e))
                self._said = str(e)
            else:
                self._said = None

    def refresh(self) -> None:
        """Hands changed certificates on.

        Raises InputError for a file that is missing or holds no certificate with its key, OutsideError when Envoy's
        can't be written. What was handed on before stays.
        """
        config = self._config
        if config.leaf_file is not None:
            leaf = _leaf("leaf_file", config.leaf_file)
            self._show(leaf)
            self._write(names.AUTHORITIES, tls.authorities(leaf.ca))
            self._write(names.CLIENT, tls.certificate(names.CLIENT, cert=leaf.cert, key=leaf.key))
        public = _public(config)
        if public is not None:
            self._write(names.PUBLIC, tls.certificate(names.PUBLIC, cert=public.cert, key=public.key))

    def _show(self, leaf: Leaf) -> None:
        if self.mutual is None:
            self.mutual = Mutual(leaf)
        else:
            self.mutual.show(leaf)

    def _write(self, name: str, text: str) -> None:
        if self._written.get(name) == text:
            return
        folder = names.sds_dir(self._config.dir)
        try:
            write.make_private(self._config.dir)
            write.make_private(folder)
            write.write_file(folder / names.sds_file(name), text)
        except OSError as e:
            raise OutsideError(f"{folder}: {e.strerror or e}") from e
        self._written[name] = text
        _log.info("certificate", name=name)


def _public(config: EdgeConfig) -> Leaf | None:
    if config.public_file is not None:
        return _leaf("public_file", config.public_file)
    if config.public_cert_file is None or config.public_key_file is None:
        return None
    cert, key = (
        _text("public_cert_file", config.public_cert_file),
        _text("public_key_file", config.public_key_file),
    )
    return _checked("public_cert_file", config.public_cert_file, Leaf(cert=cert, key=key))


def _leaf(field: str, path: Path) -> Leaf:
    leaf = parse_leaf(_text(field, path))
    if leaf is None:
        raise InputError(f"{field}: {path} holds no certificate yet; the controller issues it")
    return _checked(field, path, leaf)


def _checked(field: str, path: Path, leaf: Leaf) -> Leaf:
    try:
        load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), leaf)
    except (ssl.SSLError, ValueError) as e:
        reason = getattr(e, "reason", None) or "not PEM"
        raise InputError(f"{field}: {path} is no certificate with its key ({reason})") from None
    return leaf


def _text(field: str, path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as e:
        raise InputError(f"{field}: cannot read {path}: {getattr(e, 'strerror', None) or 'not PEM'}") from e
