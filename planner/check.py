"""What has to fit together in the settings of an environment in the clouds, and is known before anything is planned.

A value that is wrong by itself is found when the file is read (`spec.stack`). Here are those that only others make wrong:
accounts for clouds, places that the price table knows, names, networks. All of them are told at once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from catalog.load import Catalog
from planner.constraints import ZONED_SUBNETS
from planner.layout import Secret
from planner.reserved import reservation_problems
from spec.clouds import CLOUDS
from spec.errors import Problem, SpecError, did_you_mean
from spec.in_clear import looks_like_a_secret
from spec.service import ServiceSpec
from spec.stack import NAMESPACE, StackConfig

DNS_CLOUDS = {"route53": "aws", "cloud_dns": "gcp", "azure_traffic_manager": "azure"}

ACCOUNTS = {
    "aws": "Add `accountId`, as `aws sts get-caller-identity` prints it.",
    "gcp": "Add `project` and `projectNumber`, as `gcloud projects describe` prints them.",
    "azure": "Add `subscriptionId` and `tenantId`, as `az account show` prints them.",
}

SECRET_NAMES = {"aws": 512, "gcp": 255, "azure": 127}
"""Letters of a secret's name: docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html,
cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets/create,
learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates."""

_LONGEST_STACK = 40
"""It is a part of every name, and the other parts must stay readable beside it."""
_STACK_NAME = re.compile(rf"[a-z][a-z0-9-]{{0,{_LONGEST_STACK - 1}}}")
_AWS_ZONE_ID = re.compile(r"[a-z0-9-]+-az\d+")
_MOST_ZONES = 6
"""Of one region of AWS; the price table knows only those with accelerators, and a subnet may be in another."""
_LISTED_AT_MOST = 30


def check(config: StackConfig, specs: Sequence[ServiceSpec], catalog: Catalog, *, env: str) -> None:
    """Raises SpecError with every problem of the settings."""
    found = [
        Problem(f"Pulumi.{env}.yaml", field, message, hint=hint)
        for field, message, hint in _problems(config, specs, catalog, env)
    ]
    found += [problem for spec in specs for problem in _in_clear(spec)]
    if found:
        raise SpecError(found)


def check_secret_names(secrets: Iterable[Secret], env: str) -> None:
    """Raises SpecError for names that a cloud's store does not take."""
    long = [s for s in secrets if len(s.stored_as(env)) > SECRET_NAMES[s.cloud]]
    if long:
        worst = max(long, key=lambda s: len(s.stored_as(env)))
        name = worst.stored_as(env)
        message = (
            f"{len(long)} secrets get names that {worst.cloud} does not take: `{name}` has {len(name)} letters, and "
            f"{SECRET_NAMES[worst.cloud]} are allowed."
        )
        hint = "Give the stack, the service or the secret a shorter name."
        raise SpecError([Problem(f"Pulumi.{env}.yaml", "", message, hint=hint)])


_Found = Iterator[tuple[str, str, str]]
"""Setting, what is wrong, the way out."""


def _problems(config: StackConfig, specs: Sequence[ServiceSpec], catalog: Catalog, env: str) -> _Found:
    yield from _name(env)
    yield from _clouds(config)
    yield from _hosts(config, catalog)
    yield from _networks(config, catalog)
    yield from _regions(config, catalog)
    for place in config.quotas:
        yield from _place("quotas", place, catalog)
    yield from reservation_problems(config, catalog)
    yield from _external(config, specs)


def _name(env: str) -> _Found:
    if not _STACK_NAME.fullmatch(env):
        yield (
            "",
            f"the stack's name `{env}` can't be a part of names in the clouds.",
            f"Use at most {_LONGEST_STACK} of a-z, 0-9 and -, a letter first.",
        )


def _clouds(config: StackConfig) -> _Found:
    if "local" in config.clouds:
        yield (
            f"{NAMESPACE}:clouds",
            "mixes `local` with others.",
            "What runs on this computer is a stack of its own.",
        )
    hosts = [*([config.home] if config.home else []), *config.edges]
    owner = DNS_CLOUDS.get(config.dns.owner)
    used = {*config.clouds, *(h.cloud for h in hosts), *([owner] if owner else [])}
    for cloud in CLOUDS:
        account = getattr(config, cloud)
        if cloud in used and account is None:
            yield (
                f"{NAMESPACE}:{cloud}",
                "is missing: the account in which everything of that cloud is declared.",
                ACCOUNTS[cloud],
            )


def _hosts(config: StackConfig, catalog: Catalog) -> _Found:
    if config.home is None:
        yield (
            f"{NAMESPACE}:home",
            "is missing: in which cloud and region the controller runs.",
            "Add `cloud` and `region`.",
        )
    else:
        yield from _region(f"{NAMESPACE}:home.region", config.home.cloud, config.home.region, config, catalog)
    if not config.edges:
        yield (
            f"{NAMESPACE}:edges",
            "is missing: the regions in which callers' requests arrive.",
            "Add an entry with `cloud` and `region`.",
        )
    for n, edge in enumerate(config.edges):
        yield from _region(f"{NAMESPACE}:edges[{n}].region", edge.cloud, edge.region, config, catalog)
    for (cloud, region), times in Counter((e.cloud, e.region) for e in config.edges).items():
        if times > 1:
            yield (
                f"{NAMESPACE}:edges",
                f"has {times} entries for {cloud}/{region}.",
                "One entry may have several `hosts`.",
            )
    for cloud in CLOUDS:
        account = getattr(config, cloud)
        if account is not None and account.region:
            yield from _region(f"{NAMESPACE}:{cloud}.region", cloud, account.region, config, catalog)


def _region(field: str, cloud: str, region: str, config: StackConfig, catalog: Catalog) -> _Found:
    if (cloud, region) in catalog.regions or config.network.get(f"{cloud}/{region}"):
        return
    regions = _regions_of(cloud, catalog)
    near = did_you_mean(region, regions) or f"There are: {', '.join(regions[:_LISTED_AT_MOST])}."
    yield (
        field,
        f"no zone of {cloud}/{region} is known.",
        f"{near} For another region, name a network of yours in `{NAMESPACE}:network`, with its subnets by zone.",
    )


def _networks(config: StackConfig, catalog: Catalog) -> _Found:
    for place, chosen in config.network.items():
        cloud, _, region = place.partition("/")
        if chosen is None or cloud not in CLOUDS or not region:
            yield from _place("network", place, catalog)
        elif cloud in ZONED_SUBNETS:
            for zone in chosen.subnets:
                field = f"{NAMESPACE}:network.{place}.subnets.{zone}"
                ids = _zone_ids(region, catalog)
                if not _AWS_ZONE_ID.fullmatch(zone):
                    yield from _no_zone_id(field, ids, region)
                elif ids and zone.partition("-")[0] != ids[0].partition("-")[0]:
                    yield field, f"is no zone of {region}.", f"Known are {', '.join(ids)}."
                elif ids and zone not in ids and int(zone.rpartition("-az")[2]) > _MOST_ZONES:
                    near = did_you_mean(zone, ids) or f"Known are {', '.join(ids)}."
                    yield (
                        field,
                        f"is no zone of {region}: no region of AWS has more than {_MOST_ZONES}.",
                        near,
                    )


def _regions(config: StackConfig, catalog: Catalog) -> _Found:
    known = {region for _, region in catalog.regions}
    for n, region in enumerate(config.regions):
        if region not in known:
            near = (
                did_you_mean(region.rpartition("/")[2], known)
                or "`./tw plan --all` shows the places there are."
            )
            yield f"{NAMESPACE}:regions[{n}]", f"nobody has a region `{region}` with accelerators.", near


def _in_clear(spec: ServiceSpec) -> Iterator[Problem]:
    """What is sent to machines is read by whoever may read their bucket."""
    texts = {f"envs.{name}": f"{name}={value}" for name, value in spec.envs.items()}
    for field, text in {**texts, "setup": spec.setup, "run": spec.run}.items():
        if looks_like_a_secret(text):
            hint = "Name it in `secrets`, and give it: pulumi config set --secret --path 'tradewind:secrets.NAME'"
            yield Problem(spec.file, field, "holds what looks like a secret, in clear.", hint=hint)


def _zone_ids(region: str, catalog: Catalog) -> list[str]:
    """Those of AWS that the price table knows: a region may have more, local ones too, which begin like them."""
    return sorted({o.zone for o in catalog.offers if o.zone and (o.cloud, o.region) == ("aws", region)})


def _no_zone_id(field: str, ids: Sequence[str], region: str) -> _Found:
    known = f" Of {region}: {', '.join(ids)}." if ids else ""
    yield (
        field,
        "is no zone id: AWS gives the letters of its zones differently in each account.",
        f"`aws ec2 describe-subnets` prints each subnet's AvailabilityZoneId.{known}",
    )


def _place(setting: str, place: str, catalog: Catalog) -> _Found:
    """`<cloud>/<region>` as a key."""
    field = f"{NAMESPACE}:{setting}.{place}"
    cloud, _, region = place.partition("/")
    if cloud not in CLOUDS or not region:
        near = did_you_mean(cloud, CLOUDS) if region else None
        yield field, "is no `<cloud>/<region>`.", near or "For example `aws/us-east-1`."
    elif (cloud, region) not in catalog.regions:
        regions = _regions_of(cloud, catalog)
        near = did_you_mean(region, regions) or f"There are: {', '.join(regions[:_LISTED_AT_MOST])}."
        yield field, f"{cloud} has no region `{region}` with accelerators.", near


def _regions_of(cloud: str, catalog: Catalog) -> list[str]:
    return sorted(region for of, region in catalog.regions if of == cloud)


def _external(config: StackConfig, specs: Sequence[ServiceSpec]) -> _Found:
    names = [spec.name for spec in specs]
    for n, external in enumerate(config.external):
        if external.service not in names:
            hint = did_you_mean(external.service, names) or f"There are: {', '.join(names)}."
            yield f"{NAMESPACE}:external[{n}].service", f"no service is named `{external.service}`.", hint
