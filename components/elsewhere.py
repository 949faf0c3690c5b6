"""What other stacks of the same environment have declared: addresses, who the controller is, drivers.

Each stack gives the others one output, `shared`, and home a `token`. Stacks are brought up one after the other, so what is
asked for may not be there yet: home goes first, with addresses that nobody has in place of those it will learn, and is
brought up once more when the others are there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pulumi

from components.cloud import Address, Foreign
from planner.layout import EdgePlace, Layout
from spec.stack import StackConfig

NOBODY = "192.0.2.1"
"""Of a range that no machine has: RFC 5737."""

_UNKNOWN = "known-when-home-is-up"


class Elsewhere:
    """The other stacks, by the clouds that they declare."""

    def __init__(self, env: str, config: StackConfig, layout: Layout, opts: pulumi.ResourceOptions) -> None:
        self._layout, self._env, self._config = layout, env, config
        self._refs: dict[str, pulumi.StackReference] = {}
        self._shared: dict[str, pulumi.Output[Any]] = {}
        self._home_is_here = config.declares(layout.home[0])
        others = [cloud for cloud in layout.clouds if not config.declares(cloud)]
        by_stack = {cloud: config.stack_of(cloud, env) for cloud in others}
        made: dict[str, pulumi.StackReference] = {}
        for cloud, stack in by_stack.items():
            if stack not in made:
                whole = f"{pulumi.get_organization()}/{pulumi.get_project()}/{stack}"
                made[stack] = pulumi.StackReference(f"stack-{stack}", stack_name=whole, opts=opts)
            self._refs[cloud] = made[stack]
            self._shared[cloud] = made[stack].get_output("shared")

    @property
    def clouds(self) -> tuple[str, ...]:
        """Those that this stack does not declare."""
        return tuple(self._refs)

    def addresses(self) -> dict[str, Address]:
        """Static addresses of the hosts there, by name."""
        hosts = {host.name: edge.cloud for edge in self._layout.edges for host in edge.hosts}
        hosts["controller"] = self._layout.home[0]
        return {
            name: Address(ip=self._value(cloud, "addresses", name, default=NOBODY), attach="")
            for name, cloud in hosts.items()
            if cloud in self._refs
        }

    def callers_of(self, edge: EdgePlace) -> list[pulumi.Output[str]]:
        """The addresses that callers of an edge there use, as many as it has."""
        found = self._value(edge.cloud, "edges", edge.id, default=[])
        return [found.apply(_at(n)) for n in range(edge.addresses)]

    def foreign(self, audience: str) -> Foreign:
        """The controller, as home shows it to the cloud with that audience."""
        shown = self._value(self._layout.home[0], "shown", audience, default=None).apply(self._needed)
        return Foreign(issuer=shown["issuer"], subject=shown["subject"], audience=audience)

    def token(self) -> pulumi.Output[str]:
        """What edges show to the controller."""
        home = self._refs[self._layout.home[0]]
        return pulumi.Output.secret(
            home.get_output("token").apply(lambda t: t or self._needed(None)["token"])
        )

    def drivers(self, own: Mapping[str, Mapping[str, Any]]) -> pulumi.Output[dict[str, Any]]:
        """The controller's settings of all clouds, without those whose stack is not up yet."""
        return pulumi.Output.all(**{**own, **self._drivers()}).apply(
            lambda known: {cloud: given for cloud, given in known.items() if given}
        )

    def apart(self) -> pulumi.Output[dict[str, str]]:
        """The stacks that are up, by cloud: the controller reads a fragment of each."""
        return pulumi.Output.all(**self._drivers()).apply(
            lambda known: {
                cloud: self._config.stack_of(cloud, self._env) for cloud, given in known.items() if given
            }
        )

    def _drivers(self) -> dict[str, pulumi.Output[Any]]:
        return {cloud: self._value(cloud, "driver", default=None) for cloud in self._refs}

    def _value(self, cloud: str, *path: str, default: Any) -> pulumi.Output[Any]:
        return self._shared[cloud].apply(lambda shared: _dig(shared, path, default))

    def _needed(self, found: Any) -> Any:
        """Raises RunError in an update; a preview may come before home is up."""
        if found:
            return found
        if not pulumi.runtime.is_dry_run():
            raise pulumi.RunError(
                f"the stack {self._env} is not up, or of before it had parts: ./tw up --stack {self._env} comes first"
            )
        return {"issuer": f"https://{_UNKNOWN}.example.com", "subject": _UNKNOWN, "token": _UNKNOWN}


def _dig(shared: Any, path: Sequence[str], default: Any) -> Any:
    for key in path:
        shared = (shared or {}).get(key)
    return default if shared is None else shared


def _at(number: int) -> Callable[[Sequence[str]], str]:
    return lambda addresses: addresses[number] if number < len(addresses) else NOBODY
