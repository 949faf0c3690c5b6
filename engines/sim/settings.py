"""The flags of the simulated engine, named like vLLM's where vLLM has one."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engines.sim.faults import Fault


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How the engine behaves. Times are seconds, sizes are tokens or sequences.

    Attributes:
        load_time_s: how long the pretended loading of the model takes; nothing listens before.
        ttft_s: time from the start of a sequence to its first token.
        time_per_token_s: time between two tokens of a sequence, whatever else runs.
        max_num_seqs: sequences that run at the same time; the others wait in the order of arrival.
        max_queue: sequences that may wait; a request beyond is refused with 503. None = no limit, as in vLLM.
        api_key: the bearer token that `/v1/` demands; None = open.
        force_usage: streams end with a usage chunk even if the request does not ask for it.
        shutdown_timeout_s: how long a SIGTERM waits for the answers that are under way.
        fault: what goes wrong with it; None = nothing.
        fault_after_s: how long after its start that begins.
        fault_share: share of requests that it meets, of those faults that meet requests.

    """

    model: str
    host: str = "127.0.0.1"
    port: int = 8000
    load_time_s: float = 0.0
    ttft_s: float = 0.04
    time_per_token_s: float = 0.008
    max_num_seqs: int = 256
    max_queue: int | None = None
    max_model_len: int = 8192
    api_key: str | None = None
    seed: int = 0
    force_usage: bool = False
    shutdown_timeout_s: float = 30.0
    fault: Fault | None = None
    fault_after_s: float = 0.0
    fault_share: float = 1.0


def parse(argv: Sequence[str]) -> Settings:
    """Settings from command-line arguments; exits with code 2 and a usage line when they are wrong."""
    defaults = Settings(model="")
    p = argparse.ArgumentParser(
        prog="python -m engines.sim",
        description="An OpenAI-compatible look-alike of vLLM without a model (docs/engines.md).",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    p.add_argument("--model", required=True, help="the name that the engine serves")
    p.add_argument("--host", default=defaults.host, help="address to listen on")
    p.add_argument("--port", type=_whole(1, 65535), default=defaults.port, help="port to listen on")
    p.add_argument(
        "--load-time-s",
        type=_amount,
        default=defaults.load_time_s,
        help="seconds until it listens, as if it loaded a model",
    )
    p.add_argument(
        "--ttft-ms", type=_amount, default=defaults.ttft_s * 1000, help="milliseconds to the first token"
    )
    p.add_argument(
        "--time-per-token-ms",
        type=_amount,
        default=defaults.time_per_token_s * 1000,
        help="milliseconds between two tokens of a sequence",
    )
    p.add_argument(
        "--max-num-seqs",
        type=_whole(1),
        default=defaults.max_num_seqs,
        help="sequences that run at the same time",
    )
    p.add_argument(
        "--max-queue",
        type=_whole(0),
        help="sequences that may wait, a request beyond gets 503; no limit if left out",
    )
    p.add_argument(
        "--max-model-len",
        type=_whole(2),
        default=defaults.max_model_len,
        help="tokens of prompt and answer together",
    )
    p.add_argument("--api-key", help="bearer token that /v1/ demands; open if left out")
    p.add_argument("--seed", type=int, default=defaults.seed, help="another seed gives other filler words")
    p.add_argument(
        "--enable-force-include-usage",
        action="store_true",
        help="end every stream with a usage chunk, asked for or not",
    )
    p.add_argument(
        "--shutdown-timeout-s",
        type=_amount,
        default=defaults.shutdown_timeout_s,
        help="seconds that SIGTERM waits for running answers",
    )
    p.add_argument("--fault", type=Fault, choices=list(Fault), help="what goes wrong with this engine")
    p.add_argument(
        "--fault-after-s",
        type=_amount,
        default=defaults.fault_after_s,
        help="seconds from its start until that begins",
    )
    p.add_argument(
        "--fault-share",
        type=_share,
        default=defaults.fault_share,
        help="share of requests that it meets, 0 to 1",
    )
    a = p.parse_args(argv)
    return Settings(
        model=a.model,
        host=a.host,
        port=a.port,
        load_time_s=a.load_time_s,
        ttft_s=a.ttft_ms / 1000,
        time_per_token_s=a.time_per_token_ms / 1000,
        max_num_seqs=a.max_num_seqs,
        max_queue=a.max_queue,
        max_model_len=a.max_model_len,
        api_key=a.api_key,
        seed=a.seed,
        force_usage=a.enable_force_include_usage,
        shutdown_timeout_s=a.shutdown_timeout_s,
        fault=a.fault,
        fault_after_s=a.fault_after_s,
        fault_share=a.fault_share,
    )


def _amount(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or value < 0:
        raise argparse.ArgumentTypeError(f"{text} is not a finite number of 0 or more")
    return value


def _share(text: str) -> float:
    value = _amount(text)
    if value > 1:
        raise argparse.ArgumentTypeError(f"{text} is more than 1")
    return value


def _whole(low: int, high: int | None = None) -> Callable[[str], int]:
    def convert(text: str) -> int:
        value = int(text)
        if value < low or (high is not None and value > high):
            limit = f"{low} or more" if high is None else f"between {low} and {high}"
            raise argparse.ArgumentTypeError(f"{text} is not {limit}")
        return value

    convert.__name__ = "whole number"  # argparse puts it into its message for what is no number at all
    return convert
