"""The rules of Azure: good arguments pass, and each broken one is told by its property."""

import base64

import pytest

from tests.tools.standins.plugin import Plugin
from tools.standins.wire import UNKNOWN

IN_GROUP = {"resourceGroupName": "tw-prod", "location": "eastus"}
TEXT = base64.b64encode(b"#cloud-config").decode()


@pytest.fixture
def azure():
    return Plugin("azure-native", location="eastus")


NIC = {"name": "nic", "primary": True, "ipConfigurations": [{"name": "ip"}]}
PROFILE = {
    "priority": "Spot",
    "evictionPolicy": "Delete",
    "billingProfile": {"maxPrice": -1},
    "userData": TEXT,
    "osProfile": {
        "computerNamePrefix": "tw",
        "adminUsername": "tradewind",
        "linuxConfiguration": {
            "disablePasswordAuthentication": True,
            "ssh": {
                "publicKeys": [{"keyData": "ssh-rsa AAAA", "path": "/home/tradewind/.ssh/authorized_keys"}]
            },
        },
    },
    "networkProfile": {
        "networkApiVersion": "2022-11-01",
        "networkInterfaceConfigurations": [NIC],
    },
    "scheduledEventsProfile": {"terminateNotificationProfile": {"enable": True, "notBeforeTimeout": "PT5M"}},
}
RULE = {
    "name": "replicas",
    "priority": 100,
    "direction": "Inbound",
    "access": "Allow",
    "protocol": "Tcp",
    "sourceAddressPrefix": "192.0.2.1/32",
    "sourcePortRange": "*",
    "destinationAddressPrefix": "*",
    "destinationPortRange": "9443",
}
GOOD = {
    "compute:VirtualMachineScaleSet": {
        **IN_GROUP,
        "vmScaleSetName": "pool-1",
        "orchestrationMode": "Flexible",
        "platformFaultDomainCount": 1,
        "singlePlacementGroup": False,
        "sku": {"name": "Standard_NC24ads_A100_v4", "capacity": 0},
        "virtualMachineProfile": PROFILE,
    },
    "compute:VirtualMachine": {**IN_GROUP, "vmName": "controller", "userData": TEXT},
    "network:VirtualNetwork": {
        **IN_GROUP,
        "virtualNetworkName": "net",
        "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
    },
    "network:Subnet": {
        "resourceGroupName": "g",
        "virtualNetworkName": "net",
        "subnetName": "machines",
        "addressPrefix": "10.0.0.0/20",
    },
    "network:NetworkSecurityGroup": {
        **IN_GROUP,
        "networkSecurityGroupName": "replicas",
        "securityRules": [RULE],
    },
    "network:PublicIPAddress": {
        **IN_GROUP,
        "publicIpAddressName": "edge",
        "publicIPAllocationMethod": "Static",
        "sku": {"name": "Standard"},
    },
    "storage:StorageAccount": {
        **IN_GROUP,
        "accountName": "twprod0a1b2c3d",
        "kind": "StorageV2",
        "sku": {"name": "Standard_LRS"},
    },
    "storage:BlobContainer": {"resourceGroupName": "g", "accountName": "twprod", "containerName": "state"},
    "keyvault:Vault": {
        **IN_GROUP,
        "vaultName": "tw-prod-0a1b2c3d",
        "properties": {
            "tenantId": "t",
            "sku": {"family": "A", "name": "standard"},
            "enableRbacAuthorization": True,
            "softDeleteRetentionInDays": 7,
        },
    },
    "managedidentity:UserAssignedIdentity": {**IN_GROUP, "resourceName": "controller"},
    "managedidentity:FederatedIdentityCredential": {
        "resourceGroupName": "g",
        "resourceName": "controller",
        "federatedIdentityCredentialResourceName": "home",
        "audiences": ["api://AzureADTokenExchange"],
        "issuer": "https://accounts.google.com",
        "subject": "1",
    },
    "authorization:RoleAssignment": {
        "roleAssignmentName": "0a1b2c3d-0000-4000-8000-000000000000",
        "scope": "/subscriptions/s",
        "principalId": "p",
        "roleDefinitionId": "/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/r",
    },
    "trafficmanager:Profile": {
        "resourceGroupName": "g",
        "profileName": "edge",
        "location": "global",
        "monitorConfig": {
            "protocol": "HTTPS",
            "port": 443,
            "path": "/edge/ready",
            "intervalInSeconds": 10,
            "timeoutInSeconds": 5,
        },
    },
}
S = "compute:VirtualMachineScaleSet"
GROUP = "network:NetworkSecurityGroup"
LOGIN = PROFILE["osProfile"]


def profile(**change):
    changed = {k: v for k, v in {**PROFILE, **change}.items() if v is not None}
    return {"virtualMachineProfile": changed}


def monitor(**change):
    return {"monitorConfig": {**GOOD["trafficmanager:Profile"]["monitorConfig"], **change}}


BAD = [
    (S, {"platformFaultDomainCount": None}, "is required for Flexible orchestration"),
    (S, {"platformFaultDomainCount": 9}, "9 is not within 1 to 5"),
    (S, {"singlePlacementGroup": True}, "must be false for Flexible"),
    (S, {"overprovision": True}, "is for Uniform orchestration"),
    (S, {"sku": {"name": "a", "capacity": 1001}}, "not within 0 to 1000"),
    (S, {"sku": None}, "sku.name: is required"),
    (S, {"sku": {"name": "a"}}, "Required parameter 'sku.capacity' is missing"),
    (S, {"zones": ["4"]}, "is none of the zones 1, 2, 3"),
    (S, {"location": "eastuss"}, "no location eastuss; did you mean eastus"),
    (S, {"vmScaleSetName": "pool_1-"}, "must match"),
    (S, profile(evictionPolicy=None), "evictionPolicy: is required with priority Spot"),
    (S, profile(priority="Regular"), "evictionPolicy: is for priority Spot only"),
    (S, profile(priority=None), "maxPrice: is for priority Spot only"),
    (S, profile(billingProfile={"maxPrice": 0}), "neither -1 nor above 0"),
    (
        S,
        profile(capacityReservation={"capacityReservationGroup": {"id": "g"}}),
        "capacity reservations are not for Spot machines",
    ),
    (S, profile(userData="#cloud-config"), "is not base64"),
    (S, profile(userData=base64.b64encode(b"x" * 65537).decode()), "65536 are allowed"),
    (S, profile(osProfile={**LOGIN, "computerNamePrefix": "-tw"}), "1 to 58 letters"),
    (S, profile(osProfile={**LOGIN, "adminUsername": "admin"}), "is a name that Azure refuses"),
    (S, profile(osProfile={**LOGIN, "linuxConfiguration": None}), "adminPassword: is required"),
    (
        S,
        profile(osProfile={**LOGIN, "linuxConfiguration": {"disablePasswordAuthentication": True}}),
        "publicKeys: is required without a password",
    ),
    (
        S,
        profile(networkProfile={"networkInterfaceConfigurations": [NIC]}),
        "networkApiVersion: is required",
    ),
    (
        S,
        profile(scheduledEventsProfile={"terminateNotificationProfile": {"notBeforeTimeout": "PT30M"}}),
        "no duration of PT5M to PT15M",
    ),
    ("compute:VirtualMachine", {"priority": "Spot"}, "evictionPolicy: is required"),
    ("compute:VirtualMachine", {"userData": "plain"}, "is not base64"),
    ("network:VirtualNetwork", {"addressSpace": None}, "addressSpace: is required"),
    ("network:VirtualNetwork", {"addressSpace": {"addressPrefixes": ["10.0.0.0/30"]}}, "/2 to /29"),
    ("network:Subnet", {"addressPrefixes": ["10.0.0.0/24"]}, "conflicts with addressPrefix"),
    ("network:Subnet", {"addressPrefix": None}, "one of addressPrefix, addressPrefixes"),
    (GROUP, {"securityRules": [{**RULE, "priority": 5000}]}, "5000 is not within 100 to 4096"),
    (GROUP, {"securityRules": [RULE, {**RULE, "name": "b"}]}, "100 is also the priority of replicas"),
    (
        GROUP,
        {"securityRules": [{**RULE, "sourceAddressPrefixes": ["a"]}]},
        "conflicts with sourceAddressPrefix",
    ),
    (
        GROUP,
        {"securityRules": [{**RULE, "sourceApplicationSecurityGroups": [{"id": "/peers"}]}]},
        "conflicts with sourceAddressPrefix",
    ),
    (GROUP, {"securityRules": [{**RULE, "destinationPortRange": "https"}]}, "is no port, range of ports"),
    ("network:PublicIPAddress", {"publicIPAllocationMethod": "Dynamic"}, "must be Static"),
    ("network:PublicIPAddress", {"sku": {"name": "Basic"}}, "must be Standard"),
    ("storage:StorageAccount", {"accountName": "tw-prod"}, "must match"),
    ("storage:StorageAccount", {"accountName": "x" * 25}, "3 to 24 are allowed"),
    ("storage:BlobContainer", {"containerName": "a--b"}, "must match"),
    ("keyvault:Vault", {"vaultName": "1vault"}, "must match"),
    (
        "keyvault:Vault",
        {"properties": {**GOOD["keyvault:Vault"]["properties"], "softDeleteRetentionInDays": 3}},
        "not within 7 to 90 days",
    ),
    (
        "keyvault:Vault",
        {"properties": {**GOOD["keyvault:Vault"]["properties"], "enablePurgeProtection": False}},
        "can't be false",
    ),
    ("managedidentity:UserAssignedIdentity", {"resourceName": "a.b.c"}, "must match"),
    ("managedidentity:FederatedIdentityCredential", {"audiences": ["a", "b"]}, "has exactly one item"),
    ("authorization:RoleAssignment", {"roleAssignmentName": "mine"}, "must match"),
    ("authorization:RoleAssignment", {"roleDefinitionId": "Contributor"}, "is no id of a role definition"),
    ("trafficmanager:Profile", monitor(intervalInSeconds=20), "20 is neither 10 nor 30"),
    ("trafficmanager:Profile", monitor(timeoutInSeconds=10), "10 is not within 5 to 9"),
    ("network:VirtualNetwork", {"tags": {"a/b": "c"}}, "a key has at most 512 characters"),
]


@pytest.mark.parametrize("type_", GOOD)
def test_what_is_within_the_rules_passes(azure, type_):
    assert azure.refusals(f"azure-native:{type_}", GOOD[type_]) == []


@pytest.mark.parametrize(("type_", "change", "reason"), BAD)
def test_what_breaks_a_rule_is_refused(azure, type_, change, reason):
    found = azure.refusals(f"azure-native:{type_}", {**GOOD[type_], **change})
    assert any(reason in each for each in found), found


@pytest.mark.parametrize("type_", GOOD)
def test_what_is_not_known_yet_breaks_no_rule(azure, type_):
    assert azure.refusals(f"azure-native:{type_}", dict.fromkeys(GOOD[type_], UNKNOWN)) == []


def test_machines_on_demand_name_no_eviction(azure):
    ordinary = profile(priority="Regular", evictionPolicy=None, billingProfile=None)
    assert azure.refusals(f"azure-native:{S}", {**GOOD[S], **ordinary}) == []
