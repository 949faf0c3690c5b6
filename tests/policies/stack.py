"""Resources as Pulumi hands them to a policy: properties behind the wrapper that raises for unknown ones."""

from pulumi_policy import PolicyProviderResource, PolicyResource, PolicyResourceOptions
from pulumi_policy.policy import PolicyCustomTimeouts
from pulumi_policy.proxy import UNKNOWN_NUMBER_VALUE, unknown_checking_proxy

from policies.all import RULES
from policies.resources import read
from policies.rules import judge

UNKNOWN = UNKNOWN_NUMBER_VALUE
BY_NAME = {rule.name: rule for rule in RULES}

SCALING = {
    "min_replicas": 2,
    "max_replicas": 2,
    "surge": 1,
    "num_overprovision": 0,
    "base_ondemand_fallback_replicas": 0,
    "dynamic_ondemand_fallback": False,
    "upscale_delay_s": 300,
    "downscale_delay_s": 1200,
    "slo": 99.0,
}


def resource(type_, name, props, *, provider=False, depends=None):
    return PolicyResource(
        type_,
        unknown_checking_proxy(props),
        f"urn:pulumi:dev::tradewind::{type_}::{name}",
        name,
        PolicyResourceOptions(False, [], None, [], PolicyCustomTimeouts(0, 0, 0), []),
        PolicyProviderResource("pulumi:providers:x", {}, "urn:x", "x") if provider else None,
        None,
        [],
        depends or {},
    )


def service(name="chat", **scaling):
    return resource(
        "tradewind:service:Service",
        name,
        {"service": name, "scaling": {**SCALING, **scaling}, "numNodes": 1.0},
    )


def pool(zone="local-east-a", *, price=2.4, service="chat", market="spot", **props):
    name = f"{service}.local.{zone}.L4x1.{market}"
    given = {
        "poolId": name,
        "service": service,
        "cloud": "local",
        "region": zone[:-2],
        "zone": zone,
        "market": market,
        "accelerator": "L4",
        "acceleratorCount": 1.0,
        "instanceTypes": ["local-l4"],
        "capacityUnits": 1.0,
        "maxSize": 3.0,
        "priceUsdHour": price,
        "env": {"TOKEN": "hush"},
        **props,
    }
    given = {key: value for key, value in given.items() if value is not None}  # Pulumi drops nulls
    return resource("tradewind:local:Pool", name, given, provider=True)


def found(rule, *resources, **config):
    """What one rule says of these resources, with these parameters."""
    return [f.message for f in judge(BY_NAME[rule], read(resources), resources, config)]
