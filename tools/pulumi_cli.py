"""Finds a Pulumi CLI, or gets one: from PATH, by Pulumi's own installer, or built from Go modules.

The engine, its Python language host and that host's two scripts must lie in one folder that is on PATH; `find` and
`get` return that folder. What is fetched or built lands in a cache outside of the checkout, keyed by version, under
a lock and by one rename, so that two set-ups at once and a killed one leave nothing half-made.
"""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

VERSION = "3.259.0"
OLDEST = (3, 200, 0)
"""The oldest CLI that serves `plugins.providers` and typed arrays in Pulumi.yaml as this project uses them."""

HERE = Path(__file__).parent
INSTALLER_TIMEOUT_S = 180


class NoPulumi(Exception):
    """No Pulumi CLI can be had; the message lists the ways that were tried and what the user can do."""


def cache_dir() -> Path:
    """Where things outlive a checkout: `$XDG_CACHE_HOME/tradewind` or `~/.cache/tradewind`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tradewind"


def find() -> Path | None:
    """The folder of a usable CLI on PATH or in the cache; None when there is none yet."""
    on_path = shutil.which("pulumi")
    if on_path:
        folder = Path(on_path).resolve().parent
        if _usable(folder):
            return folder
    cached = _cached()
    return cached if (cached / "pulumi").is_file() else None


def version(folder: Path) -> str:
    """Of a CLI that `find` or `get` returned: asked at most once, and a cached one is known by its name."""
    return VERSION if folder == _cached() else ".".join(map(str, _ask(folder) or OLDEST))


def get(python: Path) -> Path:
    """Finds the CLI, or installs or builds it (minutes, with progress on stderr).

    `python`: an interpreter that has the Pulumi SDK, for the official installer. Raises NoPulumi.
    """
    found = find()
    if found:
        return found
    with _locked(cache_dir() / "pulumi.lock"):
        found = find()  # another set-up may have finished while we waited
        if found:
            return found
        tried = []
        for way, make in (("Pulumi's installer", _install), ("a build from Go modules", _build)):
            _say(f"Pulumi CLI {VERSION}: {way} ...")
            try:
                return make(python)
            except _Failed as e:
                tried.append(f"  {way}: {e}")
                _say(f"  {e}")
    raise NoPulumi(
        "no Pulumi CLI could be had:\n" + "\n".join(tried) + "\n"
        f"Install Pulumi {'.'.join(map(str, OLDEST))} or newer (https://www.pulumi.com/docs/install/), "
        "or Go 1.26 or newer (https://go.dev/dl/), and run the same command again."
    )


class _Failed(Exception):
    """One way did not work; the next one is tried."""


def _usable(folder: Path) -> bool:
    return (folder / "pulumi-language-python").exists() and (_ask(folder) or (0,)) >= OLDEST


@functools.cache
def _ask(folder: Path) -> tuple[int, ...] | None:
    """What `pulumi version` says; None when that fails."""
    try:
        out = subprocess.run(
            [folder / "pulumi", "version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    numbers = re.match(r"v?(\d+)\.(\d+)\.(\d+)", out)
    return tuple(map(int, numbers.groups())) if numbers else None


def _cached() -> Path:
    return cache_dir() / f"pulumi-{VERSION}" / "bin"


def _install(python: Path) -> Path:
    root = cache_dir() / f"pulumi-{VERSION}.installing"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    code = (
        "import sys; from pulumi.automation import PulumiCommand; from semver import VersionInfo; "
        "PulumiCommand.install(root=sys.argv[1], version=VersionInfo.parse(sys.argv[2]))"
    )
    try:
        _run_whole([python, "-c", code, root, VERSION], INSTALLER_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        shutil.rmtree(root, ignore_errors=True)
        raise _Failed(f"no answer within {INSTALLER_TIMEOUT_S} s") from None
    except subprocess.CalledProcessError as e:
        shutil.rmtree(root, ignore_errors=True)
        raise _Failed(f"not reachable from here ({_last_line(e.output)[:160]})") from None
    if not _usable(root / "bin"):
        shutil.rmtree(root, ignore_errors=True)
        raise _Failed("the installer ended without a usable CLI")
    return _publish(root)


def _run_whole(command: list[str | Path], timeout_s: float) -> str:
    """Its output; the installer is a script with children, which must not outlive it."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, _ = process.communicate(timeout=timeout_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command, out)
    return out


def _build(_python: Path) -> Path:
    """Engine and language host from their Go modules; versions and hashes are in `tools/pulumi/*/go.{mod,sum}`.

    The language host left the `sdk` module after 3.79.0; that one works with the engine and SDK of today. CGO is
    off, so that the result runs on any machine of the same kind.
    """
    if not shutil.which("go"):
        raise _Failed("Go is not on PATH")
    for left in cache_dir().glob(f"pulumi-{VERSION}.*"):
        shutil.rmtree(left, ignore_errors=True)  # of a build that was killed: the lock is ours
    root = Path(tempfile.mkdtemp(prefix=f"pulumi-{VERSION}.", dir=cache_dir()))
    (root / "bin").mkdir()
    sdk = "github.com/pulumi/pulumi/sdk/v3"
    try:
        for module in ("engine", "python"):
            shutil.copytree(HERE / "pulumi" / module, root / module)
        stamp = f"-s -w -X {sdk}/go/common/version.Version=v{VERSION}"
        _go_build(root, "engine", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", "pulumi", stamp)
        _go_build(
            root, "python", f"{sdk}/python/cmd/pulumi-language-python", "pulumi-language-python", "-s -w"
        )
        folder = Path(_go(root / "engine", "list", "-mod=mod", "-m", "-f", "{{.Dir}}", sdk).strip())
        for script in ("cmd/pulumi-language-python-exec", "dist/pulumi-resource-pulumi-python"):
            target = root / "bin" / Path(script).name
            shutil.copyfile(folder / "python" / script, target)
            target.chmod(0o755)
        if not _usable(root / "bin"):
            raise _Failed("the build ended without a usable CLI")
        return _publish(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _publish(root: Path) -> Path:
    target = cache_dir() / f"pulumi-{VERSION}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    (root / "bin").rename(target / "bin")
    shutil.rmtree(root, ignore_errors=True)
    return target / "bin"


def _go_environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}


def _go(cwd: Path, *args: str) -> str:
    done = subprocess.run(
        ["go", *args], check=False, cwd=cwd, env=_go_environment(), capture_output=True, text=True
    )
    if done.returncode != 0:
        raise _Failed(f"go {args[0]}: {_last_line(done.stderr)}")
    return done.stdout


def _go_build(root: Path, module: str, package: str, binary: str, ldflags: str) -> None:
    """Builds with a count of packages as progress; the count of all is known after the modules are there."""
    cwd = root / module
    tags = ["-mod=mod", "-tags", "grpcnotrace"]
    _say(f"  {binary}: fetching modules ...")
    total = len(_go(cwd, "list", *tags, "-deps", package).split())
    out = str(root / "bin" / binary)
    command = ["go", "build", "-v", *tags, "-buildvcs=false", "-ldflags", ldflags, "-o", out, package]
    started, done, other = time.monotonic(), 0, []
    with subprocess.Popen(
        command, cwd=cwd, env=_go_environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as build:
        for line in build.stderr or ():
            if " " in line.strip():
                other.append(line.strip())
            done += 1
            _progress(binary, done, total, time.monotonic() - started)
    if build.returncode != 0:
        raise _Failed(f"go build {binary}: {(other or ['failed'])[-1]}")
    _say(f"\r  {binary}: built in {time.monotonic() - started:.0f} s" + " " * 24)


def _progress(name: str, done: int, total: int, seconds: float) -> None:
    """One line that is rewritten on a terminal; elsewhere (CI logs) a line every 200 packages."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r  {name}: compiled {done} of about {total} packages, {seconds:.0f} s")
        sys.stderr.flush()
    elif done % 200 == 0:
        _say(f"  {name}: compiled {done} of about {total} packages, {seconds:.0f} s")


def _last_line(text: str) -> str:
    return next(reversed(text.strip().splitlines()), "no message")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _locked(path: Path) -> Generator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("waiting for another set-up that gets the Pulumi CLI ...")
            fcntl.flock(f, fcntl.LOCK_EX)
        yield
