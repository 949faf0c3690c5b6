"""What the engine says, and how it counts tokens.

A token is a word or a single sign, together with the white space before it. The rule is the same for prompts and
answers, so that `usage` can be checked from the text. Answers depend on nothing but the seed, the prompt and the
number of the choice.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

GREETING = (
    "This is Tradewind's simulated engine: there is no model behind it. "
    "To get a real one, point `run` in the service file at vLLM (docs/engines.md)."
)

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])")
_WORDS = (
    *(
        "air",
        "anchor",
        "bay",
        "beacon",
        "bearing",
        "breeze",
        "bright",
        "calm",
        "canvas",
        "cape",
        "chart",
        "cloud",
    ),
    *(
        "coast",
        "compass",
        "course",
        "crew",
        "current",
        "dawn",
        "deck",
        "depth",
        "drift",
        "east",
        "ebb",
        "fair",
    ),
    *("far", "fog", "gale", "gulf", "gust", "harbor", "haul", "helm", "horizon", "island", "keel", "knot"),
    *("lee", "light", "log", "mast", "moon", "noon", "north", "open", "port", "quiet", "rain", "reef"),
    *("rope", "sail", "salt", "sea", "shore", "sky", "south", "spray", "star", "steady", "storm", "swell"),
)
_END = 13  # a sentence ends with every thirteenth filler token


def count_tokens(text: str) -> int:
    """How many tokens a text has; white space at its end counts for nothing."""
    return len(_TOKEN.findall(text))


def answer(prompt: str, *, length: int, seed: int = 0, choice: int = 0) -> list[str]:
    """The first `length` tokens of the endless answer to a prompt; joined they are its text."""
    key = f"{seed}\0{choice}\0{prompt}".encode("utf-8", "surrogatepass")
    dice = hashlib.shake_128(key).digest(max(length, 1))
    filler = (
        "." if i % _END == _END - 1 else f" {_WORDS[dice[i] % len(_WORDS)]}"
        for i in range(max(length - len(_GREETING_TOKENS), 0))
    )
    return [*_GREETING_TOKENS[:length], *filler]


def cut_at_stop(tokens: Sequence[str], stops: Sequence[str]) -> tuple[list[str], bool]:
    """The tokens before the first stop string, and whether there was one.

    As in vLLM the stop string is left out of the text; the token in which it begins is kept up to there.
    """
    text = "".join(tokens)
    ends = [at for s in stops if s and (at := text.find(s)) >= 0]
    if not ends:
        return list(tokens), False
    kept: list[str] = []
    room = min(ends)
    for token in tokens:
        if room <= 0:
            break
        kept.append(token[:room])
        room -= len(token)
    return kept, True


_GREETING_TOKENS = tuple(_TOKEN.findall(GREETING))
