"""Resource ids, principals and addresses as Azure gives them."""

from __future__ import annotations

import hashlib
import re
import secrets
import uuid
from typing import Any

from tools.standins.azure.names import naming
from tools.standins.cloud import Made
from tools.standins.wire import Values

SUBSCRIPTION = "00000000-0000-4000-8000-000000000001"
TENANT = "00000000-0000-4000-8000-000000000002"
REFERENCE = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\."
    r"(?:Network|Compute|ManagedIdentity|Storage|KeyVault)/[^/]+/[^/]+"
    r"(?:/(?:subnets|securityRules|capacityReservations|containers|secrets)/[^/]+)?"
)

_PATHS = {
    "network:VirtualNetwork": "Microsoft.Network/virtualNetworks",
    "network:Subnet": "Microsoft.Network/virtualNetworks/{virtualNetworkName}/subnets",
    "network:NetworkSecurityGroup": "Microsoft.Network/networkSecurityGroups",
    "network:SecurityRule": "Microsoft.Network/networkSecurityGroups/{networkSecurityGroupName}/securityRules",
    "network:ApplicationSecurityGroup": "Microsoft.Network/applicationSecurityGroups",
    "network:PublicIPAddress": "Microsoft.Network/publicIPAddresses",
    "network:NetworkInterface": "Microsoft.Network/networkInterfaces",
    "network:LoadBalancer": "Microsoft.Network/loadBalancers",
    "network:RouteTable": "Microsoft.Network/routeTables",
    "network:NatGateway": "Microsoft.Network/natGateways",
    "trafficmanager:Profile": "Microsoft.Network/trafficManagerProfiles",
    "trafficmanager:Endpoint": "Microsoft.Network/trafficManagerProfiles/{profileName}/{endpointType}",
    "compute:VirtualMachineScaleSet": "Microsoft.Compute/virtualMachineScaleSets",
    "compute:VirtualMachine": "Microsoft.Compute/virtualMachines",
    "compute:Disk": "Microsoft.Compute/disks",
    "compute:CapacityReservationGroup": "Microsoft.Compute/capacityReservationGroups",
    "compute:CapacityReservation": "Microsoft.Compute/capacityReservationGroups/{capacityReservationGroupName}"
    "/capacityReservations",
    "storage:StorageAccount": "Microsoft.Storage/storageAccounts",
    "storage:BlobContainer": "Microsoft.Storage/storageAccounts/{accountName}/blobServices/default/containers",
    "keyvault:Vault": "Microsoft.KeyVault/vaults",
    "keyvault:Secret": "Microsoft.KeyVault/vaults/{vaultName}/secrets",
    "managedidentity:UserAssignedIdentity": "Microsoft.ManagedIdentity/userAssignedIdentities",
    "managedidentity:FederatedIdentityCredential": "Microsoft.ManagedIdentity/userAssignedIdentities/{resourceName}"
    "/federatedIdentityCredentials",
    "resources:Deployment": "Microsoft.Resources/deployments",
    "dns:Zone": "Microsoft.Network/dnsZones",
    "dns:RecordSet": "Microsoft.Network/dnsZones/{zoneName}/{recordType}",
}


def identify(made: Made) -> str:
    """The resource id: Azure builds it from names."""
    kind, subscription = _kind(made), _subscription(made)
    group = f"/subscriptions/{subscription}/resourceGroups/{made.get('resourceGroupName')}"
    rule = naming(made.type)
    name = (made.get(rule.property) if rule else None) or made.name
    if kind == "resources:ResourceGroup":
        return group
    if kind == "storage:Blob":
        account, container = made.get("accountName"), made.get("containerName")
        return f"https://{account}.blob.core.windows.net/{container}/{name}"
    if kind in ("authorization:RoleAssignment", "authorization:RoleDefinition"):
        path = "roleAssignments" if kind.endswith("Assignment") else "roleDefinitions"
        guid = made.get(rule.property) if rule else None
        return f"{made.get('scope')}/providers/Microsoft.Authorization/{path}/{guid or uuid.uuid4()}"
    if kind in _PATHS:
        return f"{group}/providers/{_PATHS[kind].format_map(made.inputs)}/{name}"
    module, _, type_ = kind.partition(":")
    return f"{group}/providers/Microsoft.{module.capitalize()}/{type_[0].lower()}{type_[1:]}s/{name}"


def outputs(made: Made, id_: str) -> Values:
    """The outputs whose form somebody relies on."""
    kind, rule = _kind(made), naming(made.type)
    name = (made.get(rule.property) if rule else None) or id_.rpartition("/")[2]
    values: dict[str, Any] = {
        "name": name,
        "type": id_.partition("/providers/")[2].rpartition("/")[0] or "Microsoft.Resources/resourceGroups",
        "provisioningState": "Succeeded",
        "principalId": str(uuid.uuid5(uuid.NAMESPACE_URL, id_)),
        "clientId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{id_}/client")),
        "tenantId": TENANT,
        "etag": secrets.token_hex(8),
        "azureApiVersion": "2025-01-01",
        "uniqueId": str(uuid.uuid4()),
        "vmId": str(uuid.uuid4()),
        "resourceGuid": str(uuid.uuid4()),
    }
    if made.get("location") is None and made.config.get("location"):
        values["location"] = made.config["location"]
    match kind:
        case "network:PublicIPAddress":
            values |= {"ipAddress": _address("192.0.2", id_)}
        case "storage:StorageAccount":
            values |= {"primaryEndpoints": {"blob": f"https://{name}.blob.core.windows.net/"}}
        case "storage:Blob":
            values |= {"url": id_, "type": made.get("type") or "Block"}
        case "keyvault:Vault":
            properties = dict(made.get("properties") or {})
            values |= {"properties": {**properties, "vaultUri": f"https://{name}.vault.azure.net/"}}
        case "trafficmanager:Profile":
            relative = made.get("dnsConfig.relativeName")
            values |= {
                "dnsConfig": {**(made.get("dnsConfig") or {}), "fqdn": f"{relative}.trafficmanager.net"}
            }
        case "authorization:RoleAssignment" | "authorization:RoleDefinition":
            values.pop("principalId")
            values |= {"name": id_.rpartition("/")[2]}
        case "dns:Zone":
            values |= {"nameServers": [f"ns{n}-01.azure-dns.example." for n in range(1, 5)]}
    return values


def client_config(_arguments: Values, config: Values) -> Values:
    """Who is logged in: the provider's own configuration, without a call."""
    return {
        "clientId": config.get("clientId") or str(uuid.UUID(int=3)),
        "objectId": str(uuid.UUID(int=4)),
        "subscriptionId": config.get("subscriptionId") or SUBSCRIPTION,
        "tenantId": config.get("tenantId") or TENANT,
    }


def _kind(made: Made) -> str:
    return made.type.removeprefix("azure-native:")


def _subscription(made: Made) -> str:
    return str(made.config.get("subscriptionId") or SUBSCRIPTION)


def _address(network: str, id_: str) -> str:
    return f"{network}.{int(hashlib.sha256(id_.encode()).hexdigest()[:4], 16) % 253 + 1}"
