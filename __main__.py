"""The stack program: config -> plan -> components -> outputs."""

import gc
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pulumi

from catalog.fixed import load_fixed
from catalog.load import load
from planner.environment import Planned, plan_stack
from spec import secrets, stack
from spec.clouds import ENCRYPTED
from spec.errors import TradewindError
from spec.keys import read_keys
from spec.lock import read_lock
from spec.read import read_stack

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Declares the environment of the selected stack."""
    name, settings = pulumi.get_stack(), pulumi.Config(stack.NAMESPACE)
    given = {key: value for key in stack.KEYS if (value := settings.get_object(key)) is not None}
    values: dict[str, str] = given.get("secrets", {})
    given["secrets"] = {key: {"secure": ENCRYPTED} for key in values}
    file = f"Pulumi.{name}.yaml"
    of_a_part = "part" in given
    config = stack.load_part(ROOT, given, file=file) if of_a_part else stack.parse(given, file=file)
    env = config.env(name)
    lock = None if config.is_local else read_lock(ROOT, env)
    specs = read_stack(ROOT, config.services, lock, env=env)
    planned = plan_stack(specs, load(), config, env=env, prices=load_fixed(), lock=lock)
    declare = on_this_computer if config.is_local else in_the_clouds
    for output, value in declare(name, config, specs, planned, values).items():
        pulumi.export(output, value)
    cost, services = planned.plan.cost, {s.name: asdict(s.cost) for s in planned.plan.services}
    month = {"expected_usd_month": cost.expected_usd_month}
    pulumi.export("cost", {**asdict(cost), **month, "services": services})


def on_this_computer(
    name: str, config: stack.StackConfig, specs: Any, planned: Planned, _values: Any
) -> dict[str, Any]:
    """The local cloud."""
    from components.local.environment import Environment, EnvironmentArgs
    from components.local.resources import Host

    host = Host(root=ROOT, home=ROOT / ".tradewind" / name)
    keys = read_keys(host.home / "keys.json")
    args = EnvironmentArgs(host=host, config=config, specs=specs, plan=planned.plan, keys=keys)
    return Environment("tradewind", args).outputs


def in_the_clouds(
    name: str, config: stack.StackConfig, specs: Any, planned: Planned, values: dict[str, str]
) -> dict[str, Any]:
    """AWS, GCP and Azure."""
    from components.environment import Environment, EnvironmentArgs

    if not pulumi.runtime.is_dry_run():  # a preview may come before the secrets
        secrets.check(config, specs, env=name)
    args = EnvironmentArgs(
        files=ROOT / ".tradewind" / "preview" / name / "files",
        env=config.env(name),
        stack=name,
        config=config,
        specs=specs,
        planned=planned,
        secrets={key: pulumi.Output.secret(value) for key, value in values.items()},
        protect=config.home is None or config.home.deletion == "guarded",
    )
    return Environment("tradewind", args).outputs


gc.disable()  # a million objects of the SDKs stay to the end: to look through them again and again took a third of the time
try:
    main()
except TradewindError as e:
    raise pulumi.RunError(str(e)) from None  # a message without a traceback
