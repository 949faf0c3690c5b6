"""The files of the tiny model, in the layout of the Hugging Face hub: a two-layer Llama and a tokenizer of its own.

Nothing is fetched, and the same bytes come out on every machine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engines.tiny import bpe

MAX_LEN = 1024
"""Tokens of prompt and answer together."""

_BEGIN, _END, _UNKNOWN = "<|begin|>", "<|end|>", "<|unknown|>"
_ROLES = ("system", "user", "assistant", "tool")
_SPECIAL = (_BEGIN, _END, _UNKNOWN, *(f"<|{role}|>" for role in _ROLES))

_CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)

_TEXT = """\
The trade winds blow from the east, day and night, and the sailors of the old world knew them well. A ship that left
the harbor in the morning found the wind before noon, set every sail, and held the same course for weeks. Nobody had
to row, and nobody had to ask what the wind would cost, because it was there for all who could read the sky. Still no
captain trusted one wind alone. When it died near the calm belt around the equator, the crew looked for a current, for
a cloud on the horizon, for any small breeze that would carry them on. They kept water and bread for the bad days, and
they wrote into the log each evening how far they had come and why they had turned.

Machines that are rented by the hour are much like that. There is one price for those who want to be sure, and a much
lower price for those who can leave when they are told to. What is cheap here today may be gone tomorrow, while another
harbor has more than it can sell. So whoever wants to travel far with little money needs a good chart, a quick hand and
a second plan: where to go, when to move, and what to do if the light goes out. Then a question that comes in at night
finds an answer at once, and the one who asks never learns which ship has carried it.

How are you? What is the weather like? Where does the wind come from? Please tell me a story about the sea, with three
words or with ten. Hello, yes, no, thanks, and good night; 0, 1, 2, 3, 4, 5, 6, 7, 8, 9.
"""


def write(folder: Path) -> None:
    """Writes all files; those that are there are replaced. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (folder / name).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def files() -> dict[str, dict[str, Any]]:
    """The content of each file, by name."""
    words, merges = bpe.learn(_TEXT)
    tokens = [*_SPECIAL, *words]
    ends = {"bos_token_id": tokens.index(_BEGIN), "eos_token_id": tokens.index(_END)}
    return {
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": len(tokens),
            "max_position_embeddings": MAX_LEN,
            "num_hidden_layers": 2,
            "hidden_size": 256,
            "intermediate_size": 512,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 64,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-5,
            "tie_word_embeddings": True,
            "torch_dtype": "float32",
            **ends,
        },
        "generation_config.json": ends,
        "tokenizer.json": _tokenizer(tokens, merges),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": MAX_LEN,
            "bos_token": _BEGIN,
            "eos_token": _END,
            "unk_token": _UNKNOWN,
            "chat_template": _CHAT_TEMPLATE,
        },
    }


def _tokenizer(tokens: list[str], merges: list[tuple[str, str]]) -> dict[str, Any]:
    """The format of the tokenizers library, version 1.0."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": tokens.index(token),
                "content": token,
                "special": True,
                "normalized": False,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
            }
            for token in _SPECIAL
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [list(pair) for pair in merges],
            "unk_token": _UNKNOWN,
            "fuse_unk": True,
            "byte_fallback": False,
            "ignore_merges": False,
            "dropout": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
        },
    }
