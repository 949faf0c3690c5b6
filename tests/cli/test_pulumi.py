"""The Pulumi CLI as `tw` uses it: what it leaves behind stays in bounds."""

import pytest

from cli import pulumi
from cli.backend import Backend
from cli.context import Context


@pytest.fixture
def context(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(pulumi.pulumi_cli, "find", lambda: tmp_path)
    monkeypatch.setattr(pulumi.pulumi_cli, "version", lambda _folder: "3.100.0")
    monkeypatch.setattr(pulumi, "backend_of", lambda _context: Backend(tmp_path, {}))
    return Context("dev", tmp_path)


def test_of_pulumis_own_logs_the_newest_are_kept(context):
    folder = context.root / ".tradewind" / "pulumi" / "logs"
    folder.mkdir(parents=True)
    for n in range(pulumi.LOGS_KEPT + 5):
        (folder / f"{'pulumi' if n % 2 else 'dev'}-20260101T0000{n:02}-1-up.log").touch()
    (folder / "notes.log").touch()
    pulumi.command(context)
    kept = sorted(p.name.partition("T")[2][4:6] for p in folder.glob("*T*"))
    assert kept == [f"{n:02}" for n in range(5, pulumi.LOGS_KEPT + 5)]
    assert (folder / "notes.log").exists()


def test_without_logs_there_is_nothing_to_forget(context):
    assert pulumi.command(context).command == "pulumi"
