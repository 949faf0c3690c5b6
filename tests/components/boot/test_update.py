"""How a host follows its pointer: forwards when its turn has come, back when that fails, and not again at once."""

import hashlib
import io
import json
from email.utils import formatdate

import pytest

NOW = 1_800_000_000.0


class Replaced(Exception):
    """The updater becomes that of the new release."""


class Answer(io.BytesIO):
    """An object of the bucket, with the dates that a bucket tells."""

    def __init__(self, content, *, now, changed):
        super().__init__(content)
        self.headers = {
            "Date": formatdate(now, usegmt=True),
            "Last-Modified": formatdate(changed, usegmt=True),
        }


class Host:
    """Releases are folders with a script; `healthy` says which of them end with 0."""

    def __init__(self, scripts, monkeypatch, number):
        self.fetch, self.update = scripts("fetch"), scripts("update")
        self.facts = scripts.host(role="edge", number=number)
        self.now, self.changed, self.pointer = NOW, NOW, b"first"
        self.update.STATE.mkdir(parents=True)
        (self.fetch.HOME / "releases").mkdir(parents=True)
        monkeypatch.setattr(
            self.fetch, "get", lambda *_: Answer(self.pointer, now=self.now, changed=self.changed)
        )
        monkeypatch.setattr(self.fetch, "install", lambda _host, pointer: self._release(pointer))

        def become(_program, argv):
            raise Replaced(argv[1])

        monkeypatch.setattr(self.update.os, "execv", become)
        self.unhealthy = set()
        self.fetch.CURRENT.symlink_to(self._release(b"first"))

    def _release(self, pointer):
        folder = self.fetch.HOME / "releases" / hashlib.sha256(pointer).hexdigest()[:16]
        (folder / "boot").mkdir(parents=True, exist_ok=True)
        fails = "false" if pointer in self.unhealthy else "true"
        script = (
            f"echo {folder.name} >> {self.update.STATE}/ran\nln -sfn {folder} {self.fetch.CURRENT}\n{fails}\n"
        )
        (folder / "boot/edge.sh").write_text(script)
        return folder

    def name(self, pointer, *, healthy=True):
        self.pointer, self.changed = pointer, self.now
        if not healthy:
            self.unhealthy.add(pointer)
        return self

    def step(self):
        try:
            self.update.step(self.facts)
        except Replaced as e:
            return str(e)
        return None

    @property
    def current(self):
        return self.fetch.CURRENT.resolve().name

    @property
    def ran(self):
        path = self.update.STATE / "ran"
        return path.read_text().split() if path.exists() else []


def named(pointer):
    return hashlib.sha256(pointer).hexdigest()[:16]


@pytest.fixture
def host(scripts, monkeypatch):
    return Host(scripts, monkeypatch, 1)


def test_nothing_happens_while_the_pointer_stays(host):
    assert host.step() is None
    assert host.ran == []


def test_a_new_release_is_run_and_its_own_updater_takes_over(host):
    became = host.name(b"second").step()
    assert became.endswith(f"{named(b'second')}/boot/update.py")
    assert host.current == named(b"second")
    assert not host.update.TRYING.exists()


def test_the_one_before_is_kept_and_older_ones_are_not(host):
    host.name(b"second").step()
    host.name(b"third").step()
    kept = {p.name for p in (host.fetch.HOME / "releases").iterdir()}
    assert kept == {named(b"second"), named(b"third")}


def test_a_release_that_is_not_healthy_is_left_for_the_one_before(host):
    assert host.name(b"broken", healthy=False).step() is None
    assert host.ran == [named(b"broken"), named(b"first")]
    assert host.current == named(b"first")


def test_it_is_not_tried_again_at_once_but_a_while_later(host):
    host.name(b"broken", healthy=False).step()
    host.now += 60
    host.step()
    assert len(host.ran) == 2
    host.now += host.update.AGAIN_AFTER_S
    host.unhealthy.clear()
    assert host.step() is not None


def test_another_release_does_not_wait_for_that(host):
    host.name(b"broken", healthy=False).step()
    assert host.name(b"fixed").step() is not None


def test_a_release_that_hangs_is_ended_and_left(host, monkeypatch):
    monkeypatch.setattr(host.update, "LIMIT_S", 0.3)
    host.name(b"hangs")
    folder = host._release(b"hangs")
    monkeypatch.setattr(host.fetch, "install", lambda *_: folder)
    (folder / "boot/edge.sh").write_text("sleep 60 & wait\n")
    assert host.step() is None
    assert host.current == named(b"first")


def test_hosts_take_turns_by_their_number_and_the_age_of_the_pointer(scripts, monkeypatch):
    third = Host(scripts, monkeypatch, 3).name(b"second")
    third.now += 2 * third.update.TURN_S - 1
    assert third.step() is None
    assert third.ran == []
    third.now += 1
    assert third.step() is not None


def test_a_turn_is_longer_than_a_try_and_the_way_back(host):
    assert 2 * host.update.LIMIT_S + host.update.LOOK_EVERY_S < host.update.TURN_S


def test_a_host_that_died_while_it_tried_goes_back_when_it_is_up_again(host, monkeypatch):
    broken = host._release(b"broken")
    host.fetch.CURRENT.unlink()
    host.fetch.CURRENT.symlink_to(broken)
    back_to = str(host._release(b"first"))
    host.update.TRYING.write_text(json.dumps({"back_to": back_to, "release": broken.name}))
    monkeypatch.setattr(host.update.time, "sleep", lambda _: (_ for _ in ()).throw(Replaced))
    with pytest.raises(Replaced):
        host.update.main()
    assert host.current == named(b"first")
    assert json.loads(host.update.REFUSED.read_bytes()).keys() == {broken.name}


def test_a_controller_is_restarted_for_a_secret_that_it_reads_at_its_start_only(host, monkeypatch):
    started = []
    monkeypatch.setattr(host.update.subprocess, "run", lambda command, **_: started.append(command))
    monkeypatch.setattr(host.update.settings, "of_this_release", dict)
    for role, changed in (("controller", {"token"}), ("edge", {"token", "leaf"}), ("controller", set())):
        monkeypatch.setattr(host.update.host_secrets, "refresh", lambda *_, found=changed: found)
        host.update.keep_secrets({"role": role})
    assert started == [["systemctl", "restart", "tradewind-controller"]]
