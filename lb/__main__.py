"""`python -m lb controller|edge|node --config FILE`: starts one of the three long-running parts.

Each part is imported only when it is the one to run: the node agent must start where nothing but Python is installed.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

PARTS = {
    "controller": "lb.controller.main",
    "edge": "lb.edge.run",
    "node": "lb.agent.main",
}
"""Each module has `main(config_path)`, which returns the exit code (None = 0)."""


def main(argv: list[str] | None = None) -> int:
    """Runs the part that the arguments name; returns its exit code. Wrong usage exits with 2."""
    parser = argparse.ArgumentParser(prog="python -m lb", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument(
        "--config", required=True, type=Path, metavar="FILE", help="the part's configuration (JSON)"
    )
    args = parser.parse_args(argv)
    run = importlib.import_module(PARTS[args.part]).main
    if args.part == "node":  # reports its own errors, without anything from outside its folder
        return run(args.config)
    from spec.errors import TradewindError

    try:
        return run(args.config) or 0
    except TradewindError as e:
        print(f"error: {e}", file=sys.stderr)
        return e.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    code = main()
    if "obstore" in sys.modules:
        from lb.bucket import leave

        leave(code)
    sys.exit(code)
