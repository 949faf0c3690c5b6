"""From a request to its choices, and from choices to the two answers: one JSON object, or a stream of chunks."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engines.sim.engine import Generation
from engines.sim.protocol import (
    DEFAULT_MAX_TOKENS,
    DONE,
    ChatRequest,
    Request,
    bad_request,
    event,
    usage,
)
from engines.sim.settings import Settings
from engines.sim.text import answer, cut_at_stop


@dataclass(frozen=True)
class Reply:
    """The identity that all chunks of one answer share, and its choices in order."""

    id: str
    created: int
    model: str
    chat: bool
    choices: tuple[Generation, ...]
    prompt_tokens: int

    def whole(self) -> dict[str, Any]:
        """The answer of a request that does not stream."""
        choices = [self._choice(i, g) for i, g in enumerate(self.choices)]
        kind = "chat.completion" if self.chat else "text_completion"
        return self._head(kind) | {"choices": choices, "usage": self._usage()}

    def opening(self, index: int) -> bytes:
        """The first chunk of a choice: a chat says who speaks, a completion says nothing."""
        if not self.chat:
            return b""
        return self._chunk(
            {"index": index, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        )

    def tokens(self, index: int, tokens: list[str], *, last: bool) -> bytes:
        """Chunks of one token each; the `last` one carries the reason why the answer ended."""
        ends = len(tokens) - 1 if last else -1
        return b"".join(
            self._token(index, text, self.choices[index].finish_reason if i == ends else None)
            for i, text in enumerate(tokens)
        )

    def closing(self, *, include_usage: bool) -> Iterator[bytes]:
        """What follows the choices: usage if wanted, and the end mark."""
        if include_usage:
            yield event(self._head(self._chunk_kind) | {"choices": [], "usage": self._usage()})
        yield DONE

    @property
    def _chunk_kind(self) -> str:
        return "chat.completion.chunk" if self.chat else "text_completion"

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _usage(self) -> dict[str, int]:
        return usage(self.prompt_tokens, sum(len(g.tokens) for g in self.choices))

    def _choice(self, index: int, g: Generation) -> dict[str, Any]:
        text = "".join(g.tokens)
        said: dict[str, Any] = (
            {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text}
        )
        return {"index": index, **said, "logprobs": None, "finish_reason": g.finish_reason}

    def _token(self, index: int, text: str, finish_reason: str | None) -> bytes:
        said: dict[str, Any] = {"delta": {"content": text}} if self.chat else {"text": text}
        return self._chunk({"index": index, **said, "logprobs": None, "finish_reason": finish_reason})

    def _chunk(self, choice: dict[str, Any]) -> bytes:
        return event(self._head(self._chunk_kind) | {"choices": [choice]})


def plan(request: Request, settings: Settings) -> Reply:
    """What will be answered to a request: every token of every choice is known before the first one comes out.

    Raises:
        ApiError: 400 when a prompt leaves no room for the answer.

    """
    prompts = request.prompts()
    generations = [
        _generation(request, settings, text=text, prompt_tokens=tokens, choice=choice)
        for text, tokens in prompts
        for choice in range(request.n)
    ]
    chat = isinstance(request, ChatRequest)
    return Reply(
        id=f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex}",
        created=int(time.time()),
        model=settings.model,
        chat=chat,
        choices=tuple(generations),
        prompt_tokens=sum(tokens for _, tokens in prompts),
    )


def _generation(
    request: Request, settings: Settings, *, text: str, prompt_tokens: int, choice: int
) -> Generation:
    room = settings.max_model_len - prompt_tokens
    if room < 1 or (request.limit or 0) > room:
        wanted = f" and {request.limit} for the answer" if request.limit else ""
        raise bad_request(
            f"This model's maximum context length is {settings.max_model_len} tokens. However, the request has "
            f"{prompt_tokens} in the prompt{wanted}. Please shorten the prompt or lower max_tokens.",
            param="max_tokens" if room >= 1 else "prompt",
        )
    length = request.limit or min(DEFAULT_MAX_TOKENS, room)
    tokens = answer(text, length=length, seed=settings.seed, choice=choice)
    tokens, stopped = cut_at_stop(tokens, request.stops)
    natural_end = request.limit is None
    return Generation(
        prompt_tokens=prompt_tokens,
        tokens=tokens,
        finish_reason="stop" if stopped or natural_end else "length",
    )
