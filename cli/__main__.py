"""`python -m cli`, which `./tw` runs.

Ctrl-C counts from the first moment: while modules are loaded (most of a second on a busy machine) nothing has been
started yet, and an exception in the middle of an import would be a traceback, or be lost.
"""

import os
import signal
import sys


def _leave(_number: int, _frame: object) -> None:
    os.write(2, b"interrupted\n")
    os._exit(130)


for _number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(_number, _leave)

from cli.main import main  # noqa: E402  the loading is what may be interrupted

try:
    main()
except SystemExit as e:
    if "obstore" not in sys.modules:
        raise
    from lb.bucket import leave

    leave(int(e.code or 0))
