"""Reading the XML of listings, which S3 and Azure answer with."""

from __future__ import annotations

import xml.etree.ElementTree as ET

ANY = "{*}"
"""Of any namespace: S3's answers have one, look-alikes' have none."""


def xml(body: bytes) -> ET.Element:
    """Raises ValueError."""
    try:
        return ET.fromstring(body)  # noqa: S314 - the cloud's own answer, limited in size, and expat expands no bombs
    except ET.ParseError as e:
        raise ValueError(f"not XML: {e}") from e


def text(element: ET.Element, path: str, *, default: str | None = None) -> str:
    """The text of an element below. Raises ValueError where there is none and no default."""
    found = element.find("/".join(ANY + step for step in path.split("/")))
    if found is None or found.text is None:
        if default is None:
            raise ValueError(f"an entry without {path}")
        return default
    return found.text
