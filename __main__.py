"""The stack program: config -> plan -> components -> outputs."""

from dataclasses import asdict
from pathlib import Path

import pulumi

from catalog.load import load
from components.local.environment import Environment, EnvironmentArgs
from components.local.resources import Host
from planner.constraints import Constraints
from planner.planner import plan
from spec import stack
from spec.errors import TradewindError
from spec.keys import read_keys
from spec.read import read_services


def main() -> None:
    """Declares the environment of the selected stack."""
    root, name = Path(__file__).resolve().parent, pulumi.get_stack()
    host = Host(root=root, home=root / ".tradewind" / name)
    settings = pulumi.Config(stack.NAMESPACE)
    given = {key: value for key in stack.KEYS if (value := settings.get_object(key)) is not None}
    config = stack.parse(given, file=f"Pulumi.{name}.yaml")
    specs = read_services([root / path for path in config.services])
    planned = plan(specs, load(), Constraints.of(config), env=name)
    keys = read_keys(host.home / "keys.json")

    environment = Environment(
        "tradewind", EnvironmentArgs(host=host, config=config, specs=specs, plan=planned, keys=keys)
    )
    for output, value in environment.outputs.items():
        pulumi.export(output, value)
    pulumi.export("cost", {**asdict(planned.cost), "expected_usd_month": planned.cost.expected_usd_month})


try:
    main()
except TradewindError as e:
    raise pulumi.RunError(str(e)) from None  # a message without a traceback
