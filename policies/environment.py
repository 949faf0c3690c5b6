"""What the environment as a whole says of itself: its certificates, its hosted providers, its tags."""

from __future__ import annotations

from collections.abc import Iterator

from pulumi_policy import PolicyResource

from policies.fixed import PRICED
from policies.pools import POOLS
from policies.rules import Config, Rule, at
from spec.labels import ENV_TAG, as_label

_ENVIRONMENT = "tradewind:environment:Environment"
_WITHOUT_TAGS = frozenset({"tradewind:local:Pool", "azure-native:trafficmanager:Endpoint"})


def _hosted(resource: PolicyResource, _config: Config) -> Iterator[str]:
    if resource.resource_type != _ENVIRONMENT:
        return
    for provider in at(resource.props, "providers", []):
        if provider.get("maxUsdHour") is None and provider.get("maxUsdMonth") is None:
            yield (
                f"the hosted provider {provider.get('name')} has no limit: a fallback without one is a budget without one. "
                "Set maxUsdHour or maxUsdMonth in tradewind:providers."
            )


def _tls(resource: PolicyResource, _config: Config) -> Iterator[str]:
    props = resource.props
    if (
        resource.resource_type == _ENVIRONMENT
        and at(props, "hosts", default=False)
        and not at(props, "tls", "")
    ):
        yield "its edges have no certificate. Set tradewind:tls."
    elif resource.resource_type == "aws:lb/listener:Listener" and at(props, "protocol") == "HTTP":
        yield "takes callers' keys without encryption. TLS ends at the edges: pass TCP 443 through."
    elif resource.resource_type == "azure-native:storage:StorageAccount" and (
        at(props, "enableHttpsTrafficOnly") is not True
        or at(props, "minimumTlsVersion") not in ("TLS1_2", "TLS1_3")
    ):
        yield "may be reached without TLS, or by an old one. Set enableHttpsTrafficOnly and minimumTlsVersion."


def _tags(resource: PolicyResource, config: Config) -> Iterator[str]:
    """On what costs something."""
    kind = resource.resource_type
    if kind in _WITHOUT_TAGS or (kind not in PRICED and kind not in POOLS):
        return
    required = config.get("required") or (ENV_TAG,)
    if kind.startswith("gcp:"):  # whose machines have network tags beside their labels
        carried = {*at(resource.props, "labels", {}), *at(resource.props, "allInstancesConfig.labels", {})}
        missing = [tag for tag in required if as_label(tag) not in carried]
    else:
        found = at(resource.props, "tags", {})
        carried = {t.get("key") for t in found} if isinstance(found, list) else set(found)
        missing = [tag for tag in required if tag not in carried]
    if missing:
        yield f"lacks the tags {', '.join(missing)}, by which bills are split. Add them to tradewind:tags."


RULES = (
    Rule("hosted-cap", "Every hosted provider has a limit.", "docs/environments.md", each=_hosted),
    Rule("tls", "Whatever is sent is encrypted.", "CIS Azure 3.1 and 3.15, docs/edge.md", each=_tls),
    Rule("cost-tags", "What costs something can be found on the bill.", "docs/policies.md", each=_tags),
)
