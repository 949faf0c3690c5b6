"""`python -m engines.tiny DIR`: writes the model's folder, for `vllm serve DIR --load-format dummy`."""

from __future__ import annotations

import sys
from pathlib import Path

from engines.tiny.model import write


def main(argv: list[str]) -> int:
    """Exit code 0 when it is written, 2 for a wrong command line, 3 when the folder can't be written."""
    if len(argv) != 1 or argv[0].startswith("-"):
        print("usage: python -m engines.tiny DIR", file=sys.stderr)
        return 2
    try:
        write(Path(argv[0]))
    except OSError as e:
        print(f"error: {argv[0]}: {e.strerror or e}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
