"""What only other live objects decide in Azure, what it fills in or keeps, and what it does not delete."""

from __future__ import annotations

from collections.abc import Iterator

from tools.standins.azure.deployment import TYPE as DEPLOYMENT
from tools.standins.azure.deployment import target_exists
from tools.standins.check import Failure
from tools.standins.clauses import overlap, settled, within
from tools.standins.cloud import Hold, LiveRule, Made, at
from tools.standins.live import Live, Session

GROUP = "azure-native:resources:ResourceGroup"
SCALE_SET = "azure-native:compute:VirtualMachineScaleSet"
ACCOUNT = "azure-native:storage:StorageAccount"
NETWORK = "azure-native:network:VirtualNetwork"
SUBNET = "azure-native:network:Subnet"

KEPT = {
    NETWORK: frozenset({"subnets"}),
    "azure-native:network:NetworkSecurityGroup": frozenset({"securityRules"}),
}
"""What pulumi-azure-native itself reads and sends back, because it is declared as resources of its own."""

UNCHANGEABLE = {
    SCALE_SET: frozenset(
        {
            "orchestrationMode",
            "platformFaultDomainCount",
            "virtualMachineProfile.priority",
            "virtualMachineProfile.osProfile.adminUsername",
            "virtualMachineProfile.osProfile.computerNamePrefix",
        }
    ),
    "azure-native:compute:VirtualMachine": frozenset(
        {"osProfile", "priority", "storageProfile.imageReference", "zones"}
    ),
    "azure-native:keyvault:Vault": frozenset({"properties.enablePurgeProtection"}),
}
"""What the API answers with PropertyChangeNotAllowed: learn.microsoft.com/azure/virtual-machine-scale-sets/
virtual-machine-scale-sets-upgrade-scale-set ("Create-time properties"), the same of virtual machines."""


def group_exists(made: Made, session: Session) -> Iterator[Failure]:
    """Every object lies in a resource group."""
    name = made.get("resourceGroupName")
    if isinstance(name, str) and not any(
        group.name.lower() == name.lower() for group in session.objects(GROUP)
    ):
        yield Failure("resourceGroupName", f"ResourceGroupNotFound: {name}")


def subnet_in_network(made: Made, session: Session) -> Iterator[Failure]:
    """learn.microsoft.com/azure/virtual-network/virtual-networks-faq: within the network, apart from its subnets."""
    yield from group_exists(made, session)
    block, name, group = (made.get(n) for n in ("addressPrefix", "virtualNetworkName", "resourceGroupName"))
    if not settled(block, name, group):
        return
    networks = [n for n in session.objects(NETWORK) if n.name == name and _group(n) == group]
    if not networks:
        yield Failure("virtualNetworkName", f"ParentResourceNotFound: {name}")
        return
    space = at(networks[0].properties, "addressSpace.addressPrefixes") or []
    if not within(block, space):
        yield Failure("addressPrefix", f"{block} is not within {', '.join(space)} of {name}")
    others = [
        (live.properties["addressPrefix"], live)
        for live in session.objects(SUBNET)
        if (live.properties.get("virtualNetworkName"), _group(live)) == (name, group)
        and live.urn != made.urn
        and live.properties.get("addressPrefix")
    ]
    for reason in overlap(block, others):
        yield Failure("addressPrefix", reason)


def removes(live: Live, session: Session) -> list[Live]:
    """What lies below it: all of a resource group, subnets of a network, blobs of an account, secrets of a vault.

    learn.microsoft.com/azure/azure-resource-manager/management/delete-resource-group
    """
    below = [f"{live.id}/"]
    if live.type == ACCOUNT:
        below.append(f"https://{live.name}.blob.")  # the id of a blob is its address
    return [other for other in session.objects() if other.id.startswith(tuple(below))]


def keeps_name(live: Live) -> str | None:
    """learn.microsoft.com/azure/key-vault/general/soft-delete-overview: a deleted vault keeps its name 7 to 90 days."""
    if live.type != "azure-native:keyvault:Vault":
        return None
    return "ConflictError: a vault of this name exists in deleted state; recover or purge it"


def takes_back(made: Made) -> bool:
    """learn.microsoft.com/rest/api/keyvault/keyvault/vaults/create-or-update: `createMode: recover`."""
    return made.get("properties.createMode") == "recover"


def _group(live: Live) -> object:
    return live.properties.get("resourceGroupName")


def _in_use(*types: str) -> Hold:
    """InUse...CannotBeDeleted: other objects of these types name it, or something inside it."""

    def hold(live: Live, session: Session) -> str | None:
        users = [
            other.name
            for type_ in types
            for other in session.objects(type_)
            if any(ref == live.id or ref.startswith(f"{live.id}/") for ref in other.refers)
        ]
        return f"it is in use by {', '.join(users)}" if users else None

    return hold


_MACHINES = (
    SCALE_SET,
    "azure-native:network:NetworkInterface",
    "azure-native:network:LoadBalancer",
    "azure-native:compute:VirtualMachine",
)
HOLDS: dict[str, tuple[Hold, ...]] = {
    NETWORK: (_in_use(*_MACHINES),),
    SUBNET: (_in_use(*_MACHINES),),
    "azure-native:network:NetworkSecurityGroup": (_in_use(SUBNET, *_MACHINES),),
    "azure-native:network:ApplicationSecurityGroup": (_in_use(*_MACHINES),),
    "azure-native:network:PublicIPAddress": (_in_use(*_MACHINES),),
    "azure-native:network:NetworkInterface": (_in_use("azure-native:compute:VirtualMachine"),),
}
_IN_A_GROUP = """
network:VirtualNetwork network:NetworkSecurityGroup network:PublicIPAddress network:LoadBalancer
network:NetworkInterface compute:VirtualMachineScaleSet compute:VirtualMachine
storage:StorageAccount keyvault:Vault managedidentity:UserAssignedIdentity trafficmanager:Profile
"""
LIVE_RULES: dict[str, tuple[LiveRule, ...]] = {
    **{f"azure-native:{name}": (group_exists,) for name in _IN_A_GROUP.split()},
    SUBNET: (subnet_in_network,),
    DEPLOYMENT: (group_exists, target_exists),
}
