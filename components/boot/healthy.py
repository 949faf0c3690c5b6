"""Waits until a service of this machine answers: `python3 healthy.py URL SECONDS [STATUS ...]`; exit code 1 when it does not.

The certificate is not looked at: it is not for this address, and nobody else is on this machine.
"""

from __future__ import annotations

import ssl
import sys
import time
import urllib.error
import urllib.request


def status(url: str) -> int:
    """What it answers; 0 when it does not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as e:
        return e.code
    except OSError:
        return 0


def main(url: str, seconds: str, *good: str) -> int:
    """Exit code."""
    end = time.monotonic() + float(seconds)
    wanted = {int(code) for code in good} or {200}
    while (found := status(url)) not in wanted:
        if time.monotonic() > end:
            print(f"tradewind: {url} answers {found or 'nothing'} after {seconds} s", file=sys.stderr)
            return 1
        time.sleep(0.5)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
