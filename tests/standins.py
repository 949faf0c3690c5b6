"""A small Pulumi program with the real engine and stand-ins of the clouds: private home, backend and live state."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

from pulumi import automation as auto
from semver import VersionInfo

from tools import pulumi_cli
from tools.standins.install import install
from tools.standins.live import FOLDER, Clouds

ROOT = Path(__file__).resolve().parents[1]
PROVIDERS = ("aws", "gcp", "azure-native", "tls", "cloudflare")


class Program:
    """`text`: the program. What it reads from `os.environ` is given to each command."""

    def __init__(self, root, text):
        self.root, self.messages = root, []
        for name in ("program", "backend", "home"):
            (root / name).mkdir()
        install(root / "home", Path(sys.executable), PROVIDERS)
        (root / "program" / "Pulumi.yaml").write_text("name: probe\nruntime: {name: python}\n")
        self.write(text)
        self.live = Clouds(root / "live")
        folder = pulumi_cli.find()
        assert folder, "no Pulumi CLI; run: make setup"
        self._path = f"{Path(sys.executable).parent}:{folder}:{os.environ['PATH']}"
        self._command = auto.PulumiCommand(
            root=str(folder.parent), version=VersionInfo.parse(pulumi_cli.version(folder))
        )
        self._stack = None

    def write(self, text):
        (self.root / "program" / "__main__.py").write_text(text)

    def up(self, **env):
        """Counts of operations by kind; the outputs are `outputs()`."""
        return dict(self._run("up", env).summary.resource_changes)

    def preview(self, **env):
        return dict(self._run("preview", env).change_summary)

    def refresh(self, **env):
        self._run("refresh", env)

    def destroy(self, **env):
        self._run("destroy", env)

    def outputs(self):
        return {name: output.value for name, output in self._stack.outputs().items()}

    def refused(self, command="preview", **env):
        """The messages of a command that must fail."""
        try:
            self._run(command, env)
        except auto.CommandError:
            return "\n".join(self.messages)
        raise AssertionError(f"{command} went through")

    def judged(self, packs, configs):
        """What the policies say at a preview: the engine's events."""
        events = []

        def note(event):
            self._note(event)
            if event.policy_event:
                events.append(event.policy_event)

        try:
            self._run("preview", {}, policy_packs=packs, policy_pack_configs=configs, on_event=note)
        except auto.CommandError:
            assert events, "\n".join(self.messages)  # else it failed for another reason
        return events

    def _run(self, command, env, **options):
        variables = {
            "PATH": self._path,
            "PYTHONPATH": str(ROOT),
            "PULUMI_BACKEND_URL": (self.root / "backend").as_uri(),
            "PULUMI_HOME": str(self.root / "home"),
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            FOLDER: str(self.root / "live"),
            **env,
        }
        workspace = auto.LocalWorkspaceOptions(
            env_vars=variables, pulumi_home=str(self.root / "home"), pulumi_command=self._command
        )
        self._stack = auto.create_or_select_stack(
            "probe", work_dir=str(self.root / "program"), opts=workspace
        )
        self.messages = []
        return getattr(self._stack, command)(**{"on_event": self._note, **options})

    def _note(self, event):
        if event.diagnostic_event and event.diagnostic_event.severity == "error":
            self.messages.append(event.diagnostic_event.message)


def types(live):
    """How many live objects there are of each type."""
    return dict(Counter(one.type for one in live.objects()))
