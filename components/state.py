"""What a stack writes into its buckets for the controller and for machines: bundles, the desired state, hashes of keys."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import pulumi

from components.cloud import Store
from components.desired import desired_state
from planner.layout import EdgePlace
from planner.plan import Plan
from spec import desired
from spec.bundle import BuiltBundle
from spec.keys import hashed
from spec.service import ServiceSpec
from spec.snapshot import Keys
from spec.stack import StackConfig

Bundles = Mapping[str, BuiltBundle]
"""By service."""


def write_bundles(
    bundles: Bundles, pools: Collection[desired.Pool], stores: Mapping[str, Store], parent: pulumi.Resource
) -> None:
    """Into the bucket of every cloud that runs them; once per cloud, also where two services run the same."""
    # A changed bundle may have to go back: the controller removes the one before when nothing needs it.
    kept = pulumi.ResourceOptions(parent=parent, retain_on_delete=True)
    wanted = {(p.cloud, bundles[p.service].bundle.sha256): bundles[p.service] for p in pools}
    for (cloud, sha256), built in sorted(wanted.items(), key=lambda item: item[0]):
        name = f"bundle-{sha256[:12]}-{cloud}"
        stores[cloud].write(name, f"bundles/{sha256}.tar.gz", built.archive, kept)


def write_desired(
    stack: str,
    plan: Plan,
    bundles: Bundles,
    edges: Mapping[str, EdgePlace],
    *,
    here: Collection[str],
    specs: Collection[ServiceSpec],
    config: StackConfig,
    endpoint_of: Callable[[str], pulumi.Input[str]],
    store: Store,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[list[str]]:
    """`desired/<stack>.json` with the pools of the clouds `here`. `edges`: by id; of home, which knows all of them.

    Where the environment has no name, an edge is known by its address, and so the first preview does not know the text.
    Ids of the pools that it calls retiring: known when it is written, so that nobody drops one the controller has not
    been told of.
    """
    services = tuple(replace(s, pools=tuple(p for p in s.pools if p.cloud in here)) for s in plan.services)

    def wanted(endpoints: Mapping[str, str]) -> desired.Desired:
        return desired_state(
            replace(plan, services=services),
            specs=tuple(specs),
            bundles={service: built.bundle for service, built in bundles.items()},
            edges=[desired.Edge(id=i, endpoint=endpoints[i], cloud=e.cloud) for i, e in edges.items()],
            config=config,
        )

    found = {i: endpoint_of(i) for i in edges}
    known = {i: endpoint for i, endpoint in found.items() if isinstance(endpoint, str)}
    content = (
        desired.dump(wanted(known))
        if len(known) == len(found)
        else pulumi.Output.all(**found).apply(lambda endpoints: desired.dump(wanted(endpoints)))
    )
    written = store.write("desired", f"desired/{stack}.json", content, opts)
    pools = (pool for service in services for pool in service.pools)
    retiring = [p.id for p in pools if p.state is desired.PoolState.RETIRING]
    return written.urn.apply(lambda _: retiring)


def write_keys(caller_key: pulumi.Output[str], store: Store, opts: pulumi.ResourceOptions) -> None:
    """The hash of the callers' first key, which is no secret."""
    keys = caller_key.apply(lambda k: Keys(keys=(hashed(k, key_id="default"),)).model_dump_json())
    store.write("keys", "keys.json", pulumi.Output.unsecret(keys), opts)
