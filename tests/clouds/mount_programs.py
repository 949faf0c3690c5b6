"""Stand-ins of `mount-s3`, `gcsfuse` and `blobfuse2`: they know the flags that their makers publish, and refuse any other.

The folder is a real mount, of memory, which says in a file what it would show. So whoever runs one needs the right to
mount, which a namespace of its own gives to everybody (`unshare -Urm`).
"""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

S3 = {
    "bare": {
        "--foreground",
        "--read-only",
        "--allow-other",
        "--allow-root",
        "--auto-unmount",
        "--debug",
        "--no-log",
    },
    "valued": {
        "--cache",
        "--max-cache-size",
        "--prefix",
        "--region",
        "--endpoint-url",
        "--metadata-ttl",
        "--uid",
    },
}
GCS = {
    "bare": {"--foreground", "--implicit-dirs"},
    "valued": {
        "--o",
        "--only-dir",
        "--cache-dir",
        "--file-cache-max-size-mb",
        "--file-cache-cache-file-for-range-read",
        "--file-cache-enable-parallel-downloads",
        "--uid",
        "--log-file",
    },
}
BLOB = {"bare": set(), "valued": {"--config-file", "--disable-version-check", "--foreground", "--read-only"}}
CONFIG = {
    "": {"foreground", "read-only", "allow-other", "nonempty", "logging", "components"}
    | {"libfuse", "block_cache", "file_cache", "attr_cache", "azstorage"},
    "logging": {"type", "level", "file-path", "max-file-size-mb", "file-count"},
    "block_cache": {"block-size-mb", "mem-size-mb", "path", "disk-size-mb", "disk-timeout-sec", "prefetch"}
    | {"parallelism", "cleanup-on-start"},
    "azstorage": {"type", "account-name", "container", "endpoint", "mode", "appid", "resid", "subdirectory"},
}


def install(folder):
    """Makes the programs in a folder for a PATH."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("mount-s3", "gcsfuse", "blobfuse2"):
        path = folder / name
        path.write_text(
            f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            f"from mount_programs import main\nmain({name!r}, sys.argv[1:])\n"
        )
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def parse(argv, known):
    flags, words = {}, []
    for word in argv:
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            words.append(word)
        elif (equals and name in known["valued"]) or (not equals and name in known["bare"]):
            flags.setdefault(name, []).append(value or True)
        else:
            sys.exit(f"error: unexpected argument '{word}'")
    return flags, words


def of_s3(argv):
    flags, (bucket, at) = parse(argv, S3)
    [prefix] = flags.get("--prefix", [""])
    assert prefix.endswith("/") or not prefix, "a prefix ends in '/'"
    assert "--read-only" in flags
    assert Path(flags["--cache"][0]).is_dir(), "the cache's folder is not there"
    return bucket, prefix, at


def of_gcs(argv):
    flags, (bucket, at) = parse(argv, GCS)
    assert "ro" in flags["--o"]
    assert int(flags["--file-cache-max-size-mb"][0]) > 0
    return bucket, flags.get("--only-dir", [""])[0], at


def of_blob(argv):
    assert argv[0] == "mount", "a command is missing"
    flags, [at] = parse(argv[1:], BLOB)
    config = json.loads(Path(flags["--config-file"][0]).read_text())
    for section, names in CONFIG.items():
        strangers = set(config[section] if section else config) - names
        assert not strangers, f"{section}: {strangers}"
    blocks, storage = config["block_cache"], config["azstorage"]
    assert config["read-only"]
    assert config["foreground"]
    assert storage["mode"] == "msi"
    assert blocks["prefetch"] * blocks["block-size-mb"] <= blocks["mem-size-mb"]
    return f"{storage['account-name']}/{storage['container']}", storage.get("subdirectory", ""), at


def main(name, argv):
    if (broken := os.environ.get("MOUNT_PROGRAM_SAYS")) and Path(broken).exists():
        sys.exit(Path(broken).read_text())
    bucket, prefix, at = {"mount-s3": of_s3, "gcsfuse": of_gcs, "blobfuse2": of_blob}[name](argv)
    assert not any(Path(at).iterdir()), "the folder is not empty"
    subprocess.run(["mount", "-t", "tmpfs", "none", at], check=True)
    (Path(at) / "shows").write_text(f"{bucket} {prefix}")
    (Path(at) / "pid").write_text(str(os.getpid()))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    escaped = at.replace(" ", "\\040")
    while f" {escaped} " in Path("/proc/self/mountinfo").read_text():
        time.sleep(0.02)
