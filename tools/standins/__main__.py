"""`python -m tools.standins <package>`: the stand-in of one provider, as the engine starts it."""

import sys

from tools.standins.server import serve

serve(sys.argv[1])
