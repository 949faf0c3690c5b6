"""`python -m local.sweep HOME`: ends every process of a local cloud, known to its registry or not.

The last step of taking a stack down, and the way out after anything was killed half-way.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from local.processes import ProcessError, Registry


def main() -> int:
    """Prints the name of each process that was ended; 0, or 3 when one can't be ended."""
    parser = argparse.ArgumentParser(prog="python -m local.sweep", description=__doc__.splitlines()[0])
    parser.add_argument("home", type=Path, help="folder of the stack: .tradewind/<stack>")
    try:
        for name in Registry(parser.parse_args().home).sweep():
            print(f"ended {name}")
    except ProcessError as e:
        print(f"error: {e}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
