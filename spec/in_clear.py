"""How values of secrets look, so that one that was written where only its name belongs is refused, and never shown.

No list is complete: these are the keys that people who serve models have, and assignments that say what they are.
"""

from __future__ import annotations

import re

_SECRET = re.compile(
    r"AKIA[0-9A-Z]{16}"  # AWS
    r"|\bsk-[A-Za-z0-9_-]{20,}"  # OpenAI and those who do as they do, and callers' keys of ours
    r"|\bhf_[A-Za-z0-9]{20,}"  # Hugging Face
    r"|\bgh[pousr]_[A-Za-z0-9]{20,}"  # GitHub
    r"|\bAIza[0-9A-Za-z_-]{35}"  # Google
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----"
    r"|(?i:password|passwd|secret|token|api[_-]?key)[\"']?\s*[=:]\s*[\"']?(?=[^\s\"']*\d)[A-Za-z0-9+/_.-]{16,}"
)


def looks_like_a_secret(text: str) -> bool:
    """Whether the value of a secret seems to stand in the text."""
    return _SECRET.search(text) is not None
