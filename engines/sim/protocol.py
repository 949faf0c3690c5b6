"""What callers may ask for, and the shapes of the answers: OpenAI's API with vLLM's details.

Unknown fields are ignored, as vLLM does. Sampling fields (`temperature`, `top_p`, `seed`, ...), tools and response
formats are accepted and change nothing, because nothing is sampled.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WrapValidator, model_validator
from pydantic_core import PydanticCustomError

from engines.sim.text import count_tokens

DEFAULT_MAX_TOKENS = 64
_MAX_CHOICES = 128
_TEMPLATE_TOKENS = 4
"""Tokens that a chat template adds for each message: its role and its two delimiters, and the turn's end."""


def _says(wanted: str) -> WrapValidator:
    """One sentence for a field of several types, instead of one complaint per type."""

    def check(value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise PydanticCustomError("wrong_type", "Input should be {wanted}", {"wanted": wanted}) from None

    return WrapValidator(check)


TokenIds = list[Annotated[int, Field(ge=0)]]


class ApiError(Exception):
    """An answer that is not 200. `kind` is vLLM's `type`; `param` the field that is wrong, if it is one."""

    def __init__(self, status: int, kind: str, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.param = param

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body."""
        error = {"message": str(self), "type": self.kind, "param": self.param, "code": self.status}
        return {"error": error}


def bad_request(message: str, *, param: str | None = None) -> ApiError:
    """The answer of vLLM to a request that it understands to be wrong."""
    return ApiError(400, "BadRequestError", message, param=param)


class _Asked(BaseModel):
    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


class StreamOptions(_Asked):
    """`stream_options`."""

    include_usage: bool = False


class Request(_Asked):
    """The fields that both kinds of requests share."""

    model: str | None = None
    n: int = Field(1, ge=1, le=_MAX_CHOICES)
    max_tokens: int | None = Field(None, ge=1)
    stop: Annotated[str | list[str] | None, _says("a string or a list of strings")] = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _stream_options_need_a_stream(self) -> Request:
        if self.stream_options and not self.stream:
            raise ValueError("stream_options can only be given together with stream=true")
        return self

    @property
    def stops(self) -> list[str]:
        """The stop strings, none of them empty."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [s for s in given if s]

    @property
    def limit(self) -> int | None:
        """How many tokens the caller allows for one answer; None = not said."""
        return self.max_tokens

    def prompts(self) -> list[tuple[str, int]]:
        """Each prompt as text that decides the answer, and its number of tokens."""
        raise NotImplementedError


class CompletionRequest(Request):
    """POST /v1/completions."""

    prompt: Annotated[
        str | TokenIds | list[str] | list[TokenIds],
        _says("a string, a list of strings, a list of token ids or a list of such lists"),
    ]

    def prompts(self) -> list[tuple[str, int]]:
        """One for a text or a list of token ids, several for a list of either."""
        several = isinstance(self.prompt, list) and not _are_ids(self.prompt)
        return [_text_and_tokens(p) for p in (self.prompt if several else [self.prompt])]


class Message(_Asked):
    """One message of a chat. A part that is not text, an image for instance, counts as one token."""

    role: str
    content: Annotated[str | list[dict[str, Any]] | None, _says("a string or a list of parts")] = None

    def text_and_tokens(self) -> tuple[str, int]:
        """The message's text and its tokens, those of the template included."""
        if self.content is None or isinstance(self.content, str):
            text, others = self.content or "", 0
        else:
            texts = [str(p.get("text", "")) for p in self.content if p.get("type") == "text"]
            text, others = "".join(texts), len(self.content) - len(texts)
        return f"{self.role}: {text}\n", count_tokens(text) + others + _TEMPLATE_TOKENS


class ChatRequest(Request):
    """POST /v1/chat/completions."""

    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: int | None = Field(None, ge=1)

    @property
    def limit(self) -> int | None:
        """`max_completion_tokens`, or its older name `max_tokens`."""
        return self.max_completion_tokens or self.max_tokens

    def prompts(self) -> list[tuple[str, int]]:
        """The whole conversation as one prompt."""
        parts = [m.text_and_tokens() for m in self.messages]
        return [("".join(text for text, _ in parts), sum(tokens for _, tokens in parts))]


def read(kind: type[Request], body: bytes) -> Request:
    """The request in a body; raises ApiError 400 that names each field that is wrong."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as e:
        problems = e.errors(include_url=False, include_input=False, include_context=False)
    if problems[0]["type"] == "json_invalid":
        raise bad_request(f"the body is not JSON: {problems[0]['msg'].removeprefix('Invalid JSON: ')}")
    fields = [".".join(str(at) for at in p["loc"]) for p in problems]
    text = "; ".join(f"{f}: {p['msg']}" if f else p["msg"] for f, p in zip(fields, problems, strict=True))
    raise bad_request(text, param=fields[0] or None)


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    """The `usage` object."""
    return {
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "completion_tokens": completion_tokens,
    }


def to_json(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def event(value: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + to_json(value) + b"\n\n"


DONE = b"data: [DONE]\n\n"
"""The last event of a stream."""


def _are_ids(prompt: list[Any]) -> bool:
    return bool(prompt) and isinstance(prompt[0], int)


def _text_and_tokens(prompt: Any) -> tuple[str, int]:
    if isinstance(prompt, str):
        return prompt, count_tokens(prompt)
    return " ".join(map(str, prompt)), len(prompt)
