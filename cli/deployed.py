"""What the last updates of an environment have declared, as its stacks' outputs say: which pools, and which as retiring.

A login to Pulumi's backend is all that it takes, no plugin and no cloud. Without one nothing is known, and that is an
answer too: then a pool is taken for deployed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.backend import Backend, users_own
from cli.context import Context
from cli.outputs import NoStack, outputs_of
from planner.renewal import Deployed
from spec.clouds import CLOUDS
from spec.desired import PoolState
from spec.errors import OutsideError
from spec.names import cloud_of


def deployed(context: Context) -> Deployed:
    """Of all stacks of the environment; clouds of which nothing can be known are named with the reason."""
    own = users_own(context)
    if own is None:
        return Deployed(unknown=dict.fromkeys(CLOUDS, "log in to Pulumi (`pulumi login`) and run this again"))
    pools: dict[str, PoolState] = {}
    unknown: dict[str, str] = {}
    by_cloud = {cloud: context.config.stack_of(cloud, context.env) for cloud in CLOUDS}
    for stack in sorted(set(by_cloud.values())):
        found = _states(own, stack)
        if isinstance(found, str):
            unknown |= {cloud: found for cloud, of in by_cloud.items() if of == stack}
        else:
            pools |= found
    return Deployed({i: state for i, state in pools.items() if cloud_of(i) not in unknown}, unknown)


def _states(backend: Backend, stack: str) -> dict[str, PoolState] | str:
    """By pool; none of a stack that does not exist; a text where that can't be known: why."""
    try:
        return states(outputs_of(backend, stack))
    except NoStack:
        return {}
    except OutsideError as e:
        return str(e)


def states(outputs: Mapping[str, Any]) -> dict[str, PoolState]:
    """Of the pools that a stack's outputs name."""
    retiring = set(outputs.get("retiring") or ())
    return {
        pool: PoolState.RETIRING if pool in retiring else PoolState.ACTIVE
        for pool in outputs.get("pools") or ()
    }
