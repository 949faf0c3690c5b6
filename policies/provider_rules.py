"""What the clouds refuse, or do in a way that nobody wants, and what no type says: told before anything is made."""

from __future__ import annotations

from collections.abc import Iterator

from pulumi_policy import PolicyResource

from policies.rules import Config, Rule, at, has

_GCP_TEMPLATES = frozenset(
    {
        "gcp:compute/instanceTemplate:InstanceTemplate",
        "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate",
    }
)


def _aws(resource: PolicyResource, _config: Config) -> Iterator[str]:
    if resource.resource_type != "aws:autoscaling/group:Group":
        return
    props = resource.props
    if at(props, "capacityRebalance", default=False):
        yield "capacityRebalance launches machines beside the controller's own. Leave it off."
    if at(props, "waitForCapacityTimeout") != "0":
        yield 'would make the update wait for spot machines. Set waitForCapacityTimeout to "0".'
    if at(props, "minSize", 0) != 0:
        yield "keeps machines that the controller did not ask for. Set minSize to 0."
    if has(props, "mixedInstancesPolicy"):
        templates = [
            t
            for dependencies in resource.property_dependencies.values()
            for t in dependencies
            if t.resource_type == "aws:ec2/launchTemplate:LaunchTemplate"
        ]
        if any(has(t.props, "instanceMarketOptions") for t in templates):
            yield "has a mixed instances policy, and its template has market options: AWS refuses both together. Leave the template's out."


def _gcp(resource: PolicyResource, _config: Config) -> Iterator[str]:
    props = resource.props
    if resource.resource_type in _GCP_TEMPLATES:
        spot = at(props, "scheduling.provisioningModel") == "SPOT"
        if spot and at(props, "scheduling.preemptible") is not True:
            yield "is SPOT and not preemptible: Compute Engine refuses it. Set scheduling.preemptible."
        if spot and at(props, "scheduling.automaticRestart", default=True):
            yield "is SPOT and restarts by itself: Compute Engine refuses it. Set scheduling.automaticRestart to false."
        if at(props, "scheduling.onHostMaintenance") != "TERMINATE":
            yield "has accelerators, which don't move to another host. Set scheduling.onHostMaintenance to TERMINATE."
    elif resource.resource_type == "gcp:compute/instanceGroupManager:InstanceGroupManager":
        if at(props, "waitForInstances", default=False):
            yield "would make the update wait for spot machines. Set waitForInstances to false."
        if at(props, "updatePolicy.type", "OPPORTUNISTIC") != "OPPORTUNISTIC":
            yield "would replace machines by itself when the template changes. Set updatePolicy.type to OPPORTUNISTIC."


def _azure(resource: PolicyResource, _config: Config) -> Iterator[str]:
    if resource.resource_type != "azure-native:compute:VirtualMachineScaleSet":
        return
    props = resource.props
    if at(props, "virtualMachineProfile.priority") == "Spot":
        if at(props, "virtualMachineProfile.evictionPolicy") != "Delete":
            yield "keeps the disks of evicted machines, and bills them. Set evictionPolicy to Delete."
        if at(props, "virtualMachineProfile.billingProfile.maxPrice") != -1:
            yield "is evicted by price as well as by capacity. Set billingProfile.maxPrice to -1."
    if at(props, "orchestrationMode") != "Flexible" or at(props, "platformFaultDomainCount") != 1:
        yield "can't be shrunk by name. Set orchestrationMode to Flexible and platformFaultDomainCount to 1."
    if at(props, "sku.capacity", 0) != 0:
        yield "is declared with a size, which is the controller's. Declare it with 0."


RULES = (
    Rule(
        "rules-aws",
        "Groups of AWS are such as AWS takes them, and leave sizes to the controller.",
        "docs.aws.amazon.com: mixed instances groups; capacity rebalancing",
        each=_aws,
    ),
    Rule(
        "rules-gcp",
        "Groups of GCP are such as Compute Engine takes them, and leave sizes to the controller.",
        "cloud.google.com/compute/docs: Spot VMs; GPU host maintenance",
        each=_gcp,
    ),
    Rule(
        "rules-azure",
        "Scale sets of Azure delete what is evicted, and leave sizes to the controller.",
        "learn.microsoft.com: Spot in scale sets; orchestration modes",
        each=_azure,
    ),
)
