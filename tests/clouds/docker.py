"""`docker` for machines of tests: strict about its arguments, with a daemon that really runs commands as processes.

A container is a process of the daemon, never of whoever asked for it; its file system is its home folder, made from the
image's, and `commit` makes an image of it. It ends with its first process, and its standard input with the asking program.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

RUN = {
    *("--name", "--label", "--pull", "--log-driver", "--user", "--network", "--ipc", "--ulimit", "--gpus"),
    *("--device", "--mount", "--workdir", "--entrypoint"),
}
"""The options of `run` that have a value; always after `=`."""
FLAGS = {"--interactive", "--rm", "--no-healthcheck"}


class Refused(Exception):
    """What the program prints before it ends with 1, or 125 for `run`."""


class Docker:
    """The daemon and its registry, for tests."""

    def __init__(self, folder, bin_):
        self.folder = folder
        folder.mkdir()
        bin_.mkdir(parents=True, exist_ok=True)
        program = bin_ / "docker"
        here = Path(__file__).resolve()
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {here} ask {folder} "$@"\n')
        program.chmod(0o755)
        self.registry({})
        self.daemon = subprocess.Popen([sys.executable, str(here), "serve", str(folder)])
        while not (folder / "sock").exists():
            time.sleep(0.02)

    def registry(self, images):
        """`{image: {layers, login: [user, password], fails: [words...]}}`"""
        (self.folder / "registry.json").write_text(json.dumps(images))

    def calls(self):
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def containers(self):
        return sorted(json.loads(p.read_text())["name"] for p in self.folder.glob("containers/*/facts.json"))

    def close(self):
        self.daemon.send_signal(signal.SIGTERM)
        self.daemon.wait()


def ask(folder, arguments):
    """The program: passes its standard streams on, and ends as it is told."""
    with socket.socket(socket.AF_UNIX) as door:
        os.chdir(folder)  # a socket's path is short
        door.connect("sock")
        given = {"arguments": arguments, "config": os.environ.get("DOCKER_CONFIG", "")}
        socket.send_fds(door, [json.dumps(given).encode()], [0, 1, 2])
        code = door.recv(16)
    return int(code or b"125")


class Daemon:
    def __init__(self, folder):
        self.folder = folder
        self.lock = threading.Lock()

    def serve(self):
        os.chdir(self.folder)
        with socket.socket(socket.AF_UNIX) as door:
            door.bind("new")
            door.listen()
            Path("new").rename("sock")
            while True:
                line, _ = door.accept()
                threading.Thread(target=self.answer, args=(line,), daemon=True).start()

    def answer(self, line):
        raw, fds, _, _ = socket.recv_fds(line, 1 << 20, 3)
        given = json.loads(raw)
        arguments = given["arguments"]
        with self.lock, Path("calls").open("a") as calls:
            calls.write(json.dumps(arguments) + "\n")
        try:
            code = self.carry_out(line, arguments, given["config"], fds)
        except Refused as e:
            run = arguments[:1] == ["run"]
            with contextlib.suppress(OSError):
                os.write(fds[2], f"{'docker: ' if run else ''}Error response from daemon: {e}\n".encode())
            code = 125 if run else 1
        for fd in fds:
            os.close(fd)
        with contextlib.suppress(OSError), line:
            line.send(str(code).encode())

    def carry_out(self, line, arguments, config, fds):
        out = []
        code = 0
        match arguments:
            case ["version", "--format={{.Server.Version}}"]:
                out = ["28.0"]
            case ["image", "inspect", "--format={{.Id}}", image]:
                if not self.image(image).exists():
                    raise Refused(f"No such image: {image}")
                out = ["sha256:1"]
            case ["image", "prune", "--all", "--force"]:
                shutil.rmtree("images", ignore_errors=True)
            case ["ps", "--all", "--quiet", label] if label.startswith("--filter=label="):
                wanted = label.removeprefix("--filter=label=")
                out = [f["id"] for f in self.found() if wanted in f["labels"]]
            case ["rm", "--force", *wanted] if wanted:
                for facts in self.found():
                    if facts["id"] in wanted or facts["name"] in wanted:
                        self.remove(facts["id"])
            case ["images", "--format={{.Tag}}", repository]:
                out = [p.name.partition(":")[2] for p in Path("images").glob(f"{repository}:*")]
            case ["rmi", image]:
                shutil.rmtree(self.image(image))
            case ["stop", "-t", grace, name]:
                self.stop(self.one(name), int(grace))
            case ["commit", name, image]:
                self.image(image).mkdir(parents=True)
                shutil.copytree(self.home(self.one(name)), self.image(image), dirs_exist_ok=True)
            case ["login", user, "--password-stdin", *server] if user.startswith("--username="):
                with os.fdopen(os.dup(fds[0])) as stdin:
                    login = [user.removeprefix("--username="), stdin.read().strip()]
                if not any(entry.get("login") == login for entry in self.known().values()):
                    raise Refused(f"Get {server}: unauthorized: incorrect username or password")
                Path(config, "config.json").write_text(json.dumps(login))
            case ["pull", image] if not image.startswith("-"):
                out = self.pull(image, config, fds[1])
            case ["run", *rest]:
                code = self.run(line, rest, fds)
            case _:
                raise Refused(f"unknown call: {arguments}")
        if out:
            os.write(fds[1], "".join(f"{text}\n" for text in out).encode())
        return code

    def known(self):
        return json.loads(Path("registry.json").read_text())

    def pull(self, image, config, out):
        with self.lock:
            known = self.known()
            entry = known.get(image)
            if entry is None:
                raise Refused(f"manifest for {image} not found: manifest unknown: manifest unknown")
            if login := entry.get("login"):
                kept = Path(config, "config.json")
                if not config or json.loads(kept.read_text()) != login:
                    raise Refused(
                        f"pull access denied for {image}, repository does not exist or may require 'docker login'"
                    )
            if entry.get("fails"):
                why = entry["fails"].pop(0)
                Path("registry.json").write_text(json.dumps(known))
                raise Refused(why)
        for n in range(entry.get("layers", 2)):
            os.write(out, f"{n:012x}: Pulling fs layer\n{n:012x}: Pull complete\n".encode())
        self.image(image).mkdir(parents=True, exist_ok=True)
        return [f"Status: Downloaded newer image for {image}"]

    def run(self, line, arguments, fds):
        options, flags = {}, set()
        while arguments and arguments[0].startswith("-"):
            name, equals, value = arguments.pop(0).partition("=")
            if equals and name in RUN:
                options.setdefault(name, []).append(value)
            elif not equals and name in FLAGS:
                flags.add(name)
            else:
                raise Refused(f"unknown flag: {name}")
        image, *command = arguments
        if options.get("--pull") == ["never"] and not self.image(image).exists():
            raise Refused(f"No such image: {image}")
        if "--gpus" in options:
            raise Refused('could not select device driver "" with capabilities: [[gpu]].')
        for mount in options.get("--mount", ()):
            kind, source, target = mount.split(",")
            if kind != "type=bind" or source.partition("=")[2] != target.partition("=")[2]:
                raise Refused(f"this stand-in has no other names for paths: {mount}")
            if not Path(source.removeprefix("source=")).exists():
                raise Refused(
                    f"invalid mount config for type bind: bind source path does not exist: {source}"
                )
        [name] = options["--name"]
        id_ = uuid.uuid4().hex[:12]
        with self.lock:
            if any(f["name"] == name for f in self.found()):
                raise Refused(f'Conflict. The container name "/{name}" is already in use')
            folder = Path("containers", id_)
            folder.mkdir(parents=True)
            shutil.copytree(self.image(image), folder / "home")
            facts = {"id": id_, "name": name, "labels": options.get("--label", [])}
            (folder / "facts.json").write_text(json.dumps(facts))
        process = subprocess.Popen(
            [*options["--entrypoint"], *command],
            cwd=options["--workdir"][0],
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder / folder / "home"), "HOSTNAME": id_},
            stdin=subprocess.PIPE,
            stdout=fds[1],
            stderr=fds[2],
            start_new_session=True,
        )
        (folder / "pid").write_text(str(process.pid))
        threading.Thread(target=feed, args=(fds[0], line, process), daemon=True).start()
        code = process.wait()
        kill_all(id_)
        if "--rm" in flags:
            self.remove(id_)
        return code if code >= 0 else 128 - code

    def stop(self, id_, grace_s):
        pid = int(Path("containers", id_, "pid").read_text())
        end = time.monotonic() + grace_s
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
            while time.monotonic() < end:
                os.kill(pid, 0)
                time.sleep(0.02)
        kill_all(id_)

    def remove(self, id_):
        kill_all(id_)
        shutil.rmtree(Path("containers", id_), ignore_errors=True)

    def found(self):
        with contextlib.suppress(OSError):
            return [json.loads(p.read_text()) for p in Path("containers").glob("*/facts.json")]
        return []

    def one(self, name):
        for facts in self.found():
            if facts["name"] == name:
                return facts["id"]
        raise Refused(f"No such container: {name}")

    def image(self, image):
        return Path("images", image.replace("/", "_"))

    def home(self, id_):
        return Path("containers", id_, "home")


def feed(source, line, process):
    """The container's standard input, until the source or the asking program ends."""
    source = os.dup(source)

    def watch():
        with contextlib.suppress(OSError):
            line.recv(1)
        with contextlib.suppress(OSError):
            process.stdin.close()

    threading.Thread(target=watch, daemon=True).start()
    with contextlib.suppress(OSError, ValueError):
        while data := os.read(source, 65536):
            process.stdin.write(data)
            process.stdin.flush()
        process.stdin.close()
    os.close(source)


def kill_all(id_):
    """All processes of a container, whatever they have become."""
    mark = f"HOSTNAME={id_}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in path.read_bytes().split(b"\0"):
                os.kill(int(path.parent.name), signal.SIGKILL)


def serve(folder):
    def end(_signum, _frame):
        for path in folder.glob("containers/*"):
            kill_all(path.name)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    Daemon(folder).serve()


if __name__ == "__main__":
    _, verb, where, *rest = sys.argv
    sys.exit(ask(Path(where), rest) if verb == "ask" else serve(Path(where)))
