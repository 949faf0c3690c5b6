"""The stack program: config -> plan -> components -> outputs."""

from dataclasses import asdict
from pathlib import Path

import pulumi

import catalog
from components.environment import Environment, EnvironmentArgs
from components.local import Host
from planner.constraints import Constraints
from planner.planner import plan
from spec import stack
from spec.keys import read_keys
from spec.read import read_services

root = Path(__file__).resolve().parent
name = pulumi.get_stack()
host = Host(root=root, home=root / ".tradewind" / name)

settings = pulumi.Config(stack.NAMESPACE)
config = stack.parse(
    {key: value for key in stack.KEYS if (value := settings.get_object(key)) is not None},
    file=f"Pulumi.{name}.yaml",
)
specs = read_services([root / path for path in config.services])
planned = plan(
    specs,
    catalog.load_default(),
    Constraints(
        clouds=config.clouds,
        regions=config.regions,
        max_pools_per_service=config.max_pools_per_service,
        max_regions=config.max_regions,
    ),
    env=name,
)

environment = Environment(
    "tradewind",
    EnvironmentArgs(
        host=host, config=config, specs=specs, plan=planned, keys=read_keys(host.home / "keys.json")
    ),
)
for output, value in environment.outputs.items():
    pulumi.export(output, value)
pulumi.export("cost", {**asdict(planned.cost), "expected_usd_month": planned.cost.expected_usd_month})
