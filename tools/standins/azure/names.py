"""What Azure allows as names: learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules."""

from __future__ import annotations

from tools.standins.cloud import Naming

_GROUP = ("resourceGroupName",)
_NETWORK = r"[A-Za-z0-9](?:[\w.-]*\w)?"


def _network(property_: str, *, longest: int = 80, scope: tuple[str, ...] = _GROUP) -> Naming:
    return Naming(
        property=property_, pattern=_NETWORK, longest=longest, scope=scope, source="Microsoft.Network"
    )


_NAMES: dict[str, Naming] = {
    "resources:ResourceGroup": Naming(
        property="resourceGroupName", pattern=r"[\w().-]*[\w()-]", longest=90, source="Microsoft.Resources"
    ),
    "network:VirtualNetwork": Naming(
        property="virtualNetworkName",
        pattern=_NETWORK,
        shortest=2,
        longest=64,
        scope=_GROUP,
        source="Microsoft.Network",
    ),
    "network:Subnet": _network("subnetName", scope=(*_GROUP, "virtualNetworkName")),
    "network:NetworkSecurityGroup": _network("networkSecurityGroupName"),
    "network:SecurityRule": _network("securityRuleName", scope=(*_GROUP, "networkSecurityGroupName")),
    "network:ApplicationSecurityGroup": _network("applicationSecurityGroupName"),
    "network:PublicIPAddress": _network("publicIpAddressName"),
    "network:NetworkInterface": _network("networkInterfaceName"),
    "network:LoadBalancer": _network("loadBalancerName"),
    "network:RouteTable": _network("routeTableName"),
    "network:NatGateway": _network("natGatewayName"),
    "trafficmanager:Profile": Naming(
        property="profileName",
        pattern=r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?",
        longest=63,
        scope=_GROUP,
        source="Microsoft.Network/trafficManagerProfiles",
    ),
    "trafficmanager:Endpoint": Naming(property="endpointName", longest=260, scope=(*_GROUP, "profileName")),
    "compute:VirtualMachineScaleSet": Naming(
        property="vmScaleSetName",
        pattern=r"(?!_)[A-Za-z0-9_.-]*[A-Za-z0-9_]",
        longest=64,
        scope=_GROUP,
        source="Microsoft.Compute/virtualMachineScaleSets (Linux)",
    ),
    "compute:VirtualMachine": Naming(
        property="vmName",
        pattern=r"(?!_)[A-Za-z0-9_.-]*[A-Za-z0-9_]",
        longest=64,
        scope=_GROUP,
        source="Microsoft.Compute/virtualMachines (Linux)",
    ),
    "compute:Disk": Naming(
        property="diskName", pattern=r"[\w-]+", longest=80, scope=_GROUP, source="Microsoft.Compute/disks"
    ),
    "compute:CapacityReservationGroup": Naming(
        property="capacityReservationGroupName", pattern=r"[\w.-]*\w", longest=80, scope=_GROUP
    ),
    "compute:CapacityReservation": Naming(
        property="capacityReservationName",
        pattern=r"[\w.-]*\w",
        longest=80,
        scope=(*_GROUP, "capacityReservationGroupName"),
    ),
    "storage:StorageAccount": Naming(
        property="accountName",
        pattern=r"[a-z0-9]+",
        shortest=3,
        longest=24,
        source="Microsoft.Storage/storageAccounts",
    ),
    "storage:BlobContainer": Naming(
        property="containerName",
        pattern=r"(?!.*--)[a-z0-9][a-z0-9-]*[a-z0-9]",
        shortest=3,
        longest=63,
        scope=(*_GROUP, "accountName"),
        source="Microsoft.Storage/.../containers",
    ),
    "storage:Blob": Naming(
        property="blobName", longest=1024, scope=(*_GROUP, "accountName", "containerName")
    ),
    "keyvault:Vault": Naming(
        property="vaultName",
        pattern=r"(?!.*--)[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]",
        shortest=3,
        longest=24,
        source="Microsoft.KeyVault/vaults",
    ),
    "keyvault:Secret": Naming(
        property="secretName",
        pattern=r"[A-Za-z0-9-]+",
        longest=127,
        scope=(*_GROUP, "vaultName"),
        source="Microsoft.KeyVault/vaults/secrets",
    ),
    "managedidentity:UserAssignedIdentity": Naming(
        property="resourceName",
        pattern=r"[A-Za-z0-9][\w-]*",
        shortest=3,
        longest=128,
        scope=_GROUP,
        source="Microsoft.ManagedIdentity/userAssignedIdentities",
    ),
    "managedidentity:FederatedIdentityCredential": Naming(
        property="federatedIdentityCredentialResourceName",
        pattern=r"[A-Za-z0-9][\w-]*",
        shortest=3,
        longest=120,
        scope=(*_GROUP, "resourceName"),
        source="Microsoft.ManagedIdentity/.../federatedIdentityCredentials",
    ),
    "authorization:RoleAssignment": Naming(
        property="roleAssignmentName",
        pattern=r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
        scope=("scope",),
        generated=False,
        source="Microsoft.Authorization/roleAssignments: a GUID",
    ),
    "authorization:RoleDefinition": Naming(
        property="roleDefinitionId",
        pattern=r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
        scope=("scope",),
        generated=False,
        source="Microsoft.Authorization/roleDefinitions: a GUID",
    ),
    "resources:Deployment": Naming(
        property="deploymentName",
        pattern=r"[\w.()-]+",
        longest=64,
        scope=_GROUP,
        source="Microsoft.Resources/deployments",
    ),
    "dns:Zone": Naming(property="zoneName", scope=_GROUP, generated=False),
    "dns:RecordSet": Naming(
        property="relativeRecordSetName", scope=(*_GROUP, "zoneName", "recordType"), generated=False
    ),
}


def naming(type_: str) -> Naming | None:
    """How objects of a type are named; None for those that no table knows."""
    return _NAMES.get(type_.removeprefix("azure-native:"))
