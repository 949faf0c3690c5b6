"""The controller, as the stack deploys it: one process on the local cloud."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pulumi

from components.local.code import code_hash
from components.local.resources import File, Host, Process
from spec.stack import StackConfig


@dataclass(frozen=True, kw_only=True)
class ControllerArgs:
    """`env`: name of the stack, which is also the name of its desired state."""

    host: Host
    env: str
    config: StackConfig


class Controller(pulumi.ComponentResource):
    """It is restarted by an edit of its code or its config, and by nothing else: replicas never notice."""

    def __init__(self, name: str, args: ControllerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:controller:Controller", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        port = args.config.local.controller_port
        self.url = args.config.local.controller_url
        settings = {
            "stack": args.env,
            "env": args.env,
            "bucket": args.host.bucket,
            "host": "127.0.0.1",
            "port": port,
            "token_file": args.host.secret("controller-token"),
            "tick_s": 1.0,
            "clouds": {"local": {"home": str(args.host.home)}},
        }
        text = json.dumps(settings, indent=1, sort_keys=True)
        path = str(args.host.home / "controller.json")
        file = File(f"{name}-config", path=path, content=text, mode="0600", opts=child)
        self.process = Process(
            name,
            host=args.host,
            kind="controller",
            argv=[args.host.python, "-m", "lb", "controller", "--config", path],
            code_hash=code_hash(args.host.root, text),
            ready_url=f"{self.url}/health",
            listens=port,
            port_config_key="controllerPort",
            opts=pulumi.ResourceOptions(parent=self, depends_on=[file]),
        )
        self.register_outputs({"url": self.url})
