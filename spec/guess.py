"""What the command of a service tells about itself: its engine, its model and its port.

Only for what the file leaves out; a guess decides nothing that costs money. Known are the ways in which the
tutorials of the engines start them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from spec.quantities import MAX_PORT
from spec.variables import fill_in

_STARTS = {
    "vllm": r"vllm/vllm-openai|\bvllm\.entrypoints\b|\bvllm\s+serve\b",
    "sglang": r"lmsysorg/sglang|\bsglang\.launch_server\b|\bsglang\s+serve\b",
    "tgi": r"huggingface/text-generation-inference|\btext-generation-launcher\b",
    "triton": r"nvidia/tritonserver|\btritonserver\b",
    "tabby": r"tabbyml/tabby|\btabby\s+serve\b",
    "lorax": r"predibase/lorax|\blorax-launcher\b",
    "sim": r"\bengines\.sim\b",
}
"""How each engine's own documentation starts it."""

_MODEL_FLAGS = r"(?:--model|--model-path|--model-id|--model_id|\bvllm\s+serve)[=\s]+([^\s'\";|&]+|'[^'\n]+'|\"[^\"\n]+\")"
_MODEL_ENVS = ("MODEL_ID", "MODEL_NAME", "MODEL")
_PORT_FLAG = r"--port[=\s]+[\"']?([0-9]{1,5})\b"


def engine(run: str, image: str | None) -> str | None:
    """The preset's name. None when the command is of no known engine, or of several: that would be a coin's toss."""
    text = f"{_commands(run)}\n{image or ''}"
    found = [name for name, start in _STARTS.items() if re.search(start, text, re.IGNORECASE)]
    return found[0] if len(found) == 1 else None


def model(run: str, envs: Mapping[str, str]) -> str | None:
    """The model's name: an option of the command, or else the variable that engines read."""
    match = re.search(_MODEL_FLAGS, _commands(run))
    found = fill_in(match[1].strip("'\""), envs) if match else None
    if found and "$" not in found and not found.startswith("-"):
        return found
    return next((envs[name] for name in _MODEL_ENVS if envs.get(name)), None)


def port(run: str) -> int | None:
    """The engine's port, where the command names it as a number."""
    match = re.search(_PORT_FLAG, _commands(run))
    return int(match[1]) if match and 1 <= int(match[1]) <= MAX_PORT else None


def _commands(run: str) -> str:
    """The script without comments, with continued lines joined."""
    return re.sub(r"(?m)^\s*#.*$", "", run).replace("\\\n", " ")
