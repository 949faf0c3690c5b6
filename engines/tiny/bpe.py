"""Byte-pair encoding: learns from a text which letters stand together often enough to be one token.

Deterministic: of pairs that are equally frequent the alphabetically first is merged.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

_PIECE = re.compile(r" ?\w+| ?[^\w\s]+|\s+")
"""Tokens stay within a word, its leading blank included."""

_PRINTABLE = [chr(b) for b in range(ord("!"), ord("~") + 1)]
_SPACES = {" ": "Ġ", "\n": "Ċ", "\t": "ĉ"}
"""How the format `ByteLevel` of the tokenizers library writes them."""


def learn(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    """The vocabulary, in the order of its ids, and the merges, in the order in which they apply.

    The vocabulary begins with the printable letters of ASCII and ends with whole words of `text`.
    """
    spelled = text.translate(str.maketrans(_SPACES))
    words = Counter(tuple(p.translate(str.maketrans(_SPACES))) for p in _PIECE.findall(text))
    vocabulary, merges = [*_PRINTABLE, *_SPACES.values()], []
    if unknown := set(spelled) - set(vocabulary):
        raise ValueError(f"only ASCII can be learned, not {min(unknown)!r}")
    while True:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                pairs[pair] += count
        if not pairs:
            return vocabulary, merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        if (joined := "".join(best)) not in vocabulary:
            vocabulary.append(joined)
        words = Counter({merge(word, best): count for word, count in words.items()})


def merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    """The word with each occurrence of the pair as one token, from the left."""
    done: list[str] = []
    for part in word:
        if done and (done[-1], part) == pair:
            done[-1] += part
        else:
            done.append(part)
    return tuple(done)
