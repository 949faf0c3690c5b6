"""A real browser without a window: what a page has become, and what it looks like."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

LIMIT_S = 90
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium():
    """The program; skips the test where there is none, unless it was promised (TRADEWIND_BROWSER=required, as in CI)."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        assert os.environ.get("TRADEWIND_BROWSER") != "required", "there is no Chromium, and CI must have one"
        pytest.skip("there is no Chromium here: apt-get install chromium")
    return found


@dataclass
class Browser:
    """`folder`: where profile and pictures lie."""

    folder: Path

    def dom(self, url, *, wait_ms=4000):
        """The page's elements as text, after its scripts have had that long."""
        return self._run("--dump-dom", url, wait_ms=wait_ms)

    def picture(self, url, *, name, width=1200, height=1600, wait_ms=4000, dark=False):
        """A screenshot in `folder`."""
        path = self.folder / f"{name}.png"
        scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
        self._run(f"--screenshot={path}", f"--window-size={width},{height}", *scheme, url, wait_ms=wait_ms)
        return Picture.read(path)

    def _run(self, *args, wait_ms):
        done = subprocess.run(
            [
                chromium(),
                "--headless=new",
                "--no-sandbox",  # tests run as root in CI, and the page is ours
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                f"--user-data-dir={self.folder / 'profile'}",
                f"--virtual-time-budget={wait_ms}",
                *args,
            ],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout


@dataclass
class Picture:
    """A PNG of 8 bits per channel, as rows of pixels."""

    width: int
    rows: list[list[bytes]]

    @classmethod
    def read(cls, path):
        raw = path.read_bytes()
        assert raw.startswith(b"\x89PNG\r\n\x1a\n")
        at, data = 8, b""
        while at < len(raw):
            length, kind = struct.unpack(">I4s", raw[at : at + 8])
            content = raw[at + 8 : at + 8 + length]
            if kind == b"IHDR":
                width, height, depth, colour = struct.unpack(">IIBB", content[:10])
            elif kind == b"IDAT":
                data += content
            at += 12 + length
        assert depth == 8
        size = {2: 3, 6: 4}[colour]
        return cls(width, _rows(zlib.decompress(data), width, height, size))

    def colours(self):
        """How many pixels of each colour there are."""
        counts = {}
        for row in self.rows:
            for pixel in row:
                counts[pixel] = counts.get(pixel, 0) + 1
        return counts


def _rows(data, width, height, size):
    """Takes back the filter of each row; see the PNG specification, section 9."""
    before, rows, stride = bytearray(width * size), [], width * size
    for n in range(height):
        start = n * (stride + 1)
        how, line = data[start], bytearray(data[start + 1 : start + 1 + stride])
        for i in range(stride) if how else ():
            left = line[i - size] if i >= size else 0
            up, corner = before[i], before[i - size] if i >= size else 0
            if how == 1:
                add = left
            elif how == 2:
                add = up
            elif how == 3:
                add = (left + up) // 2
            else:
                guess = left + up - corner
                add = min((left, up, corner), key=lambda v: abs(guess - v))
            line[i] = (line[i] + add) & 255
        rows.append([bytes(line[i : i + 3]) for i in range(0, stride, size)])
        before = line
    return rows
