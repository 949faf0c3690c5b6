"""The state bucket's objects that the stack owns: desired state, bundles, hashes of the callers' keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.local.resources import File, Host
from spec.bundle import BuiltBundle
from spec.desired import Desired, dump
from spec.snapshot import Keys


@dataclass(frozen=True, kw_only=True)
class StateArgs:
    """`bundles` are written before the desired state that names them."""

    host: Host
    desired: Desired
    bundles: Sequence[BuiltBundle]
    keys: Keys


class State(pulumi.ComponentResource):
    """On the local cloud the bucket is a folder."""

    def __init__(self, name: str, args: StateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tradewind:state:State", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        # A changed bundle may have to go back: the controller removes the one before when nothing needs it any more.
        kept = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
        folder = Path(args.host.home) / "state"
        bundles = [
            File(
                f"{name}-bundle-{b.bundle.sha256[:12]}",
                path=str(folder / "bundles" / f"{b.bundle.sha256}.tar.gz"),
                content=b.archive,
                opts=kept,
            )
            for b in {b.bundle.sha256: b for b in args.bundles}.values()
        ]
        File(
            f"{name}-keys",
            path=str(folder / "keys.json"),
            content=args.keys.model_dump_json(),
            mode="0600",
            opts=child,
        )
        File(
            f"{name}-desired",
            path=str(folder / "desired" / f"{args.desired.env}.json"),
            content=dump(args.desired),
            opts=pulumi.ResourceOptions(parent=self, depends_on=bundles),
        )
        self.url = args.host.bucket
        self.register_outputs({"url": self.url})
