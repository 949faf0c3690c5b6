"""`python -m lb.edge.envoy --config FILE`: becomes the Envoy of a cloud's edge host, on a bootstrap rendered here and now.

`--check` tries the bootstrap without running it, and prints a line that changes whenever Envoy would run on something
else. Whoever updates the host compares it with `envoy.runs` in the edge's directory, because only such a change is worth
the callers' connections.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from lb import log
from lb.edge import write
from lb.edge.certificates import Certificates
from lb.edge.config import EdgeConfig, read_config
from lb.envoy import binary, bootstrap, names, xds
from spec.errors import InputError, OutsideError, TradewindError

RUNS = "envoy.runs"
_CHECK_LIMIT_S = 30


def main(argv: list[str] | None = None) -> int:
    """Does not return when Envoy starts. Raises TradewindError."""
    parser = argparse.ArgumentParser(
        prog="python -m lb.edge.envoy", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="the edge's config (JSON)")
    parser.add_argument(
        "--check", action="store_true", help="try the bootstrap, and print what it is known by"
    )
    args = parser.parse_args(argv)
    log.configure()
    config, envoy = read_config(args.config), binary.find()
    text = _bootstrap(config)
    known_by = _known_by(text, envoy)
    if args.check:
        _check(config, envoy)
        print(known_by)
        return 0
    return _become(config, envoy, text, known_by)


def _become(config: EdgeConfig, envoy: Path, text: str, known_by: str) -> NoReturn:
    path = config.dir / "bootstrap.json"
    try:
        write.make_private(config.dir)
        write.write_file(path, text)
        write.write_file(config.dir / RUNS, known_by + "\n")
    except OSError as e:
        raise OutsideError(f"{config.dir}: {e.strerror or e}") from e
    command = _argv(envoy, path)
    os.execv(command[0], command)  # noqa: S606 - no shell, and it takes this process's place


def _bootstrap(config: EdgeConfig) -> str:
    if config.public_port is None:
        raise InputError("public_port: it is missing from the edge's config, so callers could not be served")
    return bootstrap.render(
        edge_id=config.edge_id,
        directory=config.dir,
        host=config.public_host,
        port=config.public_port,
        access_log=config.access_log,
        secure=config.secure,
    )


def _argv(envoy: Path, path: Path) -> list[str]:
    return bootstrap.argv(envoy, path, concurrency=os.cpu_count() or 2)


def _known_by(text: str, envoy: Path) -> str:
    digest = hashlib.sha256(" ".join(_argv(Path("envoy"), Path("bootstrap"))).encode() + text.encode())
    with envoy.open("rb") as program:
        digest.update(hashlib.file_digest(program, "sha256").digest())
    return digest.hexdigest()


def _check(config: EdgeConfig, envoy: Path) -> None:
    """Envoy itself reads the bootstrap, with files as a new edge has them; raises OutsideError with what it says."""
    with tempfile.TemporaryDirectory(prefix="tradewind-") as folder:
        tried = config.model_copy(update={"dir": Path(folder)})
        mutual = Certificates(tried).mutual is not None
        xds_dir = names.xds_dir(tried.dir)
        xds_dir.mkdir()
        for name, text in xds.render(None, directory=tried.dir, mutual=mutual).items():
            (xds_dir / name).write_text(text, encoding="utf-8")
        path = tried.dir / "bootstrap.json"
        path.write_text(_bootstrap(tried), encoding="utf-8")
        command = [str(envoy), "--mode", "validate", "--config-path", str(path), "--log-level", "error"]
        try:
            done = subprocess.run(
                command, check=False, capture_output=True, text=True, timeout=_CHECK_LIMIT_S
            )
        except subprocess.TimeoutExpired:
            raise OutsideError(f"Envoy did not read its bootstrap within {_CHECK_LIMIT_S} s") from None
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["nothing"]
            raise OutsideError(f"Envoy refuses its bootstrap: {said[-1][:500]}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except TradewindError as e:
        print(f"error: {e}", file=sys.stderr)
        sys.exit(e.exit_code)
