"""An edge: Envoy, which takes the callers' requests, and the agent that writes its files.

They are two processes on purpose: the agent may die, be edited and restarted while Envoy goes on serving.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.local.code import code_hash
from components.local.resources import File, Host, Process
from lb.envoy import binary, bootstrap
from lb.envoy.names import READY_PATH
from spec.stack import StackConfig


@dataclass(frozen=True, kw_only=True)
class EdgeArgs:
    """`edge_id`: the name under which the controller publishes this edge's snapshots.

    An edge is ready when it has a first snapshot, so the controller comes before it.
    """

    host: Host
    edge_id: str
    controller: Process
    controller_url: str
    config: StackConfig


class Edge(pulumi.ComponentResource):
    """Envoy starts after the agent has written its first files; only an edited bootstrap restarts it."""

    def __init__(self, name: str, args: EdgeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:edge:Edge", name, {}, opts)
        self.endpoint = args.config.local.endpoint
        envoy = self._envoy(name, args, after=[self._agent(name, args), args.controller])
        self.register_outputs({"endpoint": self.endpoint, "pid": envoy.pid})

    def _agent(self, name: str, args: EdgeArgs) -> Process:
        port = args.config.local.edge_agent_port
        settings = {
            "edge_id": args.edge_id,
            "controller_url": args.controller_url,
            "token_file": args.host.secret("controller-token"),
            "bucket": args.host.bucket,
            "dir": str(args.host.home / "edge"),
            "access_log": str(_access_log(args.host)),
            "host": "127.0.0.1",
            "port": port,
        }
        text = json.dumps(settings, indent=1, sort_keys=True)
        path = str(args.host.home / "edge-agent.json")
        child = pulumi.ResourceOptions(parent=self)
        file = File(f"{name}-agent-config", path=path, content=text, mode="0600", opts=child)
        return Process(
            f"{name}-agent",
            host=args.host,
            kind="edge-agent",
            argv=[args.host.python, "-m", "lb", "edge", "--config", path],
            code_hash=code_hash(args.host.root, text),
            ready_url=f"http://127.0.0.1:{port}/health",
            listens=port,
            port_config_key="edgeAgentPort",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[file]),
        )

    def _envoy(self, name: str, args: EdgeArgs, *, after: list[pulumi.Resource]) -> Process:
        folder = args.host.home / "edge"
        text = bootstrap.render(
            edge_id=args.edge_id,
            directory=folder,
            host="127.0.0.1",
            port=args.config.local.edge_port,
            access_log=_access_log(args.host),
        )
        path = folder / "bootstrap.json"
        child = pulumi.ResourceOptions(parent=self)
        file = File(f"{name}-bootstrap", path=str(path), content=text, mode="0600", opts=child)
        return Process(
            f"{name}-envoy",
            host=args.host,
            kind="envoy",
            argv=bootstrap.argv(binary.find(), path),
            code_hash=hashlib.sha256(text.encode()).hexdigest(),
            ready_url=f"{self.endpoint}{READY_PATH}",
            listens=args.config.local.edge_port,
            port_config_key="edgePort",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[file, *after]),
        )


def _access_log(host: Host) -> Path:
    return host.home / "logs" / "access.log"
