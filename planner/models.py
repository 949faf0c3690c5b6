"""What models look like inside, as far as their memory depends on it.

Figures are those of the models' published `config.json` files. A model that is not listed is taken to be like the
next larger one with grouped-query attention, which every recent open model has, and the plan says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from spec.service import ModelSize, ServiceSpec


@dataclass(frozen=True, slots=True)
class Attention:
    """The shape of a model's attention, and whose it is."""

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    basis: str


@dataclass(frozen=True, slots=True)
class _Known:
    label: str
    pattern: str
    parameters_b: float
    layers: int
    heads: int
    kv_heads: int
    head_dim: int = 128
    active_b: float | None = None


_KNOWN = (
    _Known("Qwen2.5-0.5B", r"qwen2(\.5)?-0\.5b", 0.49, 24, 14, 2, 64),
    _Known("StarCoder-1B", r"starcoder(base)?-1b", 1.14, 24, 16, 1),
    _Known("TinyLlama-1.1B", r"tinyllama", 1.1, 22, 32, 4, 64),
    _Known("Llama-3.2-1B", r"llama-3\.2-1b", 1.24, 16, 32, 8, 64),
    _Known("Llama-3.2-3B", r"llama-3\.2-3b", 3.21, 28, 24, 8),
    _Known("Llama-2-7B", r"llama-2-7b|codellama-7b|vicuna-7b|llava-.*-7b", 6.74, 32, 32, 32),
    _Known("Mistral-7B", r"mistral-7b", 7.25, 32, 32, 8),
    _Known("Llama-3-8B", r"llama-3(\.\d)?-8b", 8.03, 32, 32, 8),
    _Known("Llama-2-13B", r"llama-2-13b|codellama-13b|vicuna-13b", 13.0, 40, 40, 40),
    _Known("Qwen2.5-14B", r"qwen2(\.5)?-14b", 14.8, 48, 40, 8),
    _Known("Qwen2.5-32B", r"qwen2(\.5)?-32b", 32.8, 64, 40, 8),
    _Known("CodeLlama-34B", r"codellama-34b", 33.7, 48, 64, 8),
    _Known("Mixtral-8x7B", r"mixtral-8x7b", 46.7, 32, 32, 8, active_b=12.9),
    _Known("Llama-3-70B", r"llama-?((2|3(\.\d)?)-)?70b|codellama-70b", 70.6, 80, 64, 8),
    _Known("Qwen2.5-72B", r"qwen2(\.5)?-72b", 72.7, 80, 64, 8),
    _Known("Mistral-Large-123B", r"mistral-large", 123.0, 88, 96, 8),
    _Known("Mixtral-8x22B", r"mixtral-8x22b", 141.0, 56, 48, 8, active_b=39.0),
    _Known("Llama-3.1-405B", r"llama-3\.1-405b", 406.0, 126, 128, 8),
)

_LADDER = tuple(
    next(k for k in _KNOWN if k.label == label)
    for label in (
        "Llama-3.2-1B",
        "Llama-3.2-3B",
        "Llama-3-8B",
        "Qwen2.5-14B",
        "Qwen2.5-32B",
        "Llama-3-70B",
        "Mistral-Large-123B",
        "Llama-3.1-405B",
    )
)
"""Stand-ins for models that are not listed, by size."""

_SIZE_IN_NAME = re.compile(r"(?<![\w.])(?:(\d+)x)?(\d+(?:\.\d+)?)b(?![a-z0-9])")


def attention_of(model: ModelSize) -> Attention:
    """The given shape; what is not given comes from the model's name, else from the nearest size."""
    by_name = _by_name(model.name)
    like = by_name or _by_size(model.parameters_b)
    basis = f"as of {like.label}" if by_name else f"estimated from the size, as of {like.label}"
    given = [f for f in ("layers", "kv_heads", "head_dim") if getattr(model, f) is not None]
    if given:
        basis = f"{', '.join(given)} as given" + ("" if len(given) == 3 else f", the rest {basis}")  # noqa: PLR2004  (the three fields above)
    return Attention(
        layers=model.layers or like.layers,
        heads=like.heads,
        kv_heads=model.kv_heads or like.kv_heads,
        head_dim=model.head_dim or like.head_dim,
        basis=basis,
    )


def parameters_b(service: ServiceSpec) -> float | None:
    """Billions of parameters: as given, else as the model's name tells, else None."""
    if service.model_size is not None:
        return service.model_size.parameters_b
    if known := _by_name(service.model):
        return known.parameters_b
    size = _SIZE_IN_NAME.search((service.model or "").casefold().replace("_", "-"))
    return float(size[2]) * int(size[1] or 1) if size else None


def size_of(service: ServiceSpec) -> ModelSize | None:
    """The model's size as the file gives it, else in 16 bits as its name tells, else None."""
    if service.model_size is not None:
        return service.model_size
    billions = parameters_b(service)
    return None if billions is None else ModelSize(name=service.model, parameters_b=billions)


def active_b(model: ModelSize) -> float:
    """Billions of parameters that a token goes through: of a mixture of experts that is known by name, fewer than all."""
    known = _by_name(model.name)
    return model.parameters_b if known is None or known.active_b is None else known.active_b


def is_called(model: ModelSize, name: str) -> bool:
    """Whether a row about `name` is about this model: it is of that kind, or its name contains it."""
    known = _by_name(model.name)
    wanted = name.casefold()
    return (known is not None and known.label.casefold() == wanted) or wanted in (model.name or "").casefold()


def _by_name(name: str | None) -> _Known | None:
    folded = (name or "").casefold().replace("_", "-")
    return next((k for k in _KNOWN if re.search(k.pattern, folded)), None)


def _by_size(billions: float) -> _Known:
    """A model called 70B has 68 to 71 billion parameters, hence the allowance."""
    return next((k for k in _LADDER if k.parameters_b * 1.03 >= billions), _LADDER[-1])
