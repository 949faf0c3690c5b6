"""`tradewind:local:File`: a file that is written whole or not at all, and written again when somebody changed it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

from pulumi.runtime.rpc import UNKNOWN

from local.files import write_atomic
from local.plugin.fields import Failure, Field, Type, unknown
from local.plugin.resource import OperationError, Properties


class File:
    """`content` is text, `contentBase64` bytes; exactly one of them is given."""

    token: ClassVar[str] = "tradewind:local:File"  # noqa: S105  a type's name
    outputs: ClassVar[dict[str, Type]] = {"sha256": "string"}
    delete_first: ClassVar[bool] = False
    fields: ClassVar[tuple[Field, ...]] = (
        Field("path", "string", required=True, replaces=True),
        Field("content", "string"),
        Field("contentBase64", "string"),
        Field("mode", "string", default="0644"),
    )

    def check(self, inputs: Properties) -> list[Failure]:
        """Path, mode and content."""
        found = []
        if not unknown(inputs["path"]) and not Path(inputs["path"]).is_absolute():
            found.append(Failure("path", f"must be an absolute path, got {inputs['path']!r}"))
        if not unknown(inputs["mode"]) and not re.fullmatch(r"0?[0-7]{3}", inputs["mode"]):
            found.append(Failure("mode", f"must be octal, like 0644, got {inputs['mode']!r}"))
        if ("content" in inputs) == ("contentBase64" in inputs):
            found.append(Failure("content", "give either content or contentBase64"))
        elif not _known(inputs):
            return found
        else:
            try:
                _bytes(inputs)
            except binascii.Error as e:
                found.append(Failure("contentBase64", f"is not base64: {e}"))
        return found

    def identify(self, inputs: Properties) -> str:
        """Its path."""
        return inputs["path"]

    def preview(self, inputs: Properties) -> Properties:
        """The hash is known as soon as the content is."""
        return {**inputs, "sha256": _sha256(_bytes(inputs)) if _known(inputs) else UNKNOWN}

    def drift(self, outputs: Mapping[str, Any]) -> dict[str, str]:
        """A missing or edited file shows as its hash, other permissions as its mode."""
        found = _on_disk(outputs)
        if found is None:
            return {"sha256": "delete"}
        content, mode = found
        drift = {"sha256": "update"} if _sha256(content) != outputs.get("sha256") else {}
        return drift | ({"mode": "update"} if mode != int(outputs["mode"], 8) else {})

    def ensure(self, inputs: Properties, cancelled: Event) -> Properties:  # noqa: ARG002  writing takes no time
        """Writes the file."""
        content = _bytes(inputs)
        try:
            write_atomic(Path(inputs["path"]), content, mode=int(inputs["mode"], 8), durable=True)
        except OSError as e:
            raise OperationError(f"{inputs['path']} can't be written: {e.strerror}") from e
        return {**inputs, "sha256": _sha256(content)}

    def read(self, outputs: Properties) -> Properties | None:
        """The state's content stays: the next update shows and repairs what differs."""
        return None if _on_disk(outputs) is None else outputs

    def delete(self, outputs: Properties) -> None:
        """Removes the file, whoever changed it."""
        try:
            Path(outputs["path"]).unlink(missing_ok=True)
        except OSError as e:
            raise OperationError(f"{outputs['path']} can't be removed: {e.strerror}") from e


def _known(inputs: Mapping[str, Any]) -> bool:
    return not unknown([inputs.get("content"), inputs.get("contentBase64")])


def _bytes(inputs: Mapping[str, Any]) -> bytes:
    """Raises binascii.Error."""
    if "content" in inputs:
        return inputs["content"].encode()
    return base64.b64decode(inputs["contentBase64"], validate=True)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _on_disk(outputs: Mapping[str, Any]) -> tuple[bytes, int] | None:
    path = Path(outputs["path"])
    try:
        return path.read_bytes(), stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return None
