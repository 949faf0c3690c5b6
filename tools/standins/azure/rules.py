"""What Azure refuses of arguments that pass the types. Sources: learn.microsoft.com, the pages named below."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.standins.azure.deployment import TYPE as DEPLOYMENT
from tools.standins.azure.deployment import template
from tools.standins.azure.places import location_failures
from tools.standins.check import Failure
from tools.standins.clauses import at_most_one, between, exactly_one, in_base64, network
from tools.standins.cloud import Made, Rule, at, items, known
from tools.standins.wire import UNKNOWN

_LARGEST_DATA = 64 * 1024
"""learn.microsoft.com/azure/virtual-machines/user-data and /custom-data: 64 KB before base64."""

_BUILT_IN = {"Spot", "Low"}


def scale_set(made: Made) -> Iterator[Failure]:
    """learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-orchestration-modes."""
    mode, domains = made.get("orchestrationMode"), made.get("platformFaultDomainCount")
    if mode == "Flexible":
        if domains is None:
            yield Failure("platformFaultDomainCount", "is required for Flexible orchestration")
        elif isinstance(domains, int) and not 1 <= domains <= 5:
            yield Failure("platformFaultDomainCount", f"{domains} is not within 1 to 5")
        if made.get("singlePlacementGroup") is True:
            yield Failure("singlePlacementGroup", "must be false for Flexible orchestration")
        for name in ("overprovision", "doNotRunExtensionsOnOverprovisionedVMs"):
            if made.get(name) is True:
                yield Failure(name, "is for Uniform orchestration")
        if (
            made.get("upgradePolicy.mode") == "Rolling"
            and made.get("virtualMachineProfile.extensionProfile") is None
        ):
            yield Failure("upgradePolicy.mode", "Rolling needs the application health extension")
    zones = items(made.get("zones"))
    if len(zones) > 1 and isinstance(domains, int) and domains not in (1, 5):
        yield Failure("platformFaultDomainCount", "is 1 for a set that spans zones")
    if made.get("sku.name") is not None and made.get("sku.capacity") is None:
        # github.com/Azure/vm-scale-sets/issues/70, the API's own words
        yield Failure("sku.capacity", "Required parameter 'sku.capacity' is missing (null)")
    yield from between(made, "sku.capacity", 0, 1000, " machines")
    yield from _priority(made, "virtualMachineProfile.")
    yield from _machine_profile(made)


def _machine_profile(made: Made) -> Iterator[Failure]:
    profile = "virtualMachineProfile"
    if made.get(profile) is None:
        return
    if made.get("sku.name") is None:
        yield Failure("sku.name", "is required with a virtualMachineProfile")
    yield from in_base64(made, f"{profile}.userData", _LARGEST_DATA)
    yield from in_base64(made, f"{profile}.osProfile.customData", _LARGEST_DATA)
    prefix = made.get(f"{profile}.osProfile.computerNamePrefix")
    if isinstance(prefix, str) and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,57}", prefix):
        yield Failure(f"{profile}.osProfile.computerNamePrefix", "1 to 58 letters, digits and -")
    yield from _login(made, f"{profile}.osProfile")
    nics = items(made.get(f"{profile}.networkProfile.networkInterfaceConfigurations"))
    flexible = made.get("orchestrationMode") == "Flexible"
    version = made.get(f"{profile}.networkProfile.networkApiVersion")
    if nics and flexible and version is None:
        yield Failure(
            f"{profile}.networkProfile.networkApiVersion",
            "is required for the network of a Flexible scale set",
        )
    if nics and [bool(nic.get("primary")) for nic in nics].count(True) != 1 and len(nics) > 1:
        yield Failure(f"{profile}.networkProfile.networkInterfaceConfigurations", "exactly one is primary")
    notice = f"{profile}.scheduledEventsProfile.terminateNotificationProfile"
    yield from _minutes(made, f"{notice}.notBeforeTimeout", 5, 15)


def _minutes(made: Made, path: str, least: int, most: int) -> Iterator[Failure]:
    value = made.get(path)
    if isinstance(value, str):
        found = re.fullmatch(r"PT(\d+)M", value)
        if not found or not least <= int(found[1]) <= most:
            yield Failure(path, f"{value!r} is no duration of PT{least}M to PT{most}M")


def _priority(made: Made, prefix: str) -> Iterator[Failure]:
    """learn.microsoft.com/azure/virtual-machines/spot-vms: an eviction policy with Spot, and only with Spot."""
    priority, policy = made.get(f"{prefix}priority"), made.get(f"{prefix}evictionPolicy")
    price = made.get(f"{prefix}billingProfile.maxPrice")
    if priority in _BUILT_IN and policy is None:
        yield Failure(f"{prefix}evictionPolicy", "is required with priority Spot: Delete or Deallocate")
    if priority not in _BUILT_IN and priority is not UNKNOWN:
        if known(policy):
            yield Failure(f"{prefix}evictionPolicy", "is for priority Spot only")
        if known(price):
            yield Failure(f"{prefix}billingProfile.maxPrice", "is for priority Spot only")
    if isinstance(price, (int, float)) and price != -1 and price <= 0:
        yield Failure(f"{prefix}billingProfile.maxPrice", f"{price} is neither -1 nor above 0")
    reserved = made.get(f"{prefix}capacityReservation.capacityReservationGroup")
    if priority in _BUILT_IN and known(reserved):
        yield Failure(f"{prefix}capacityReservation", "capacity reservations are not for Spot machines")


def _login(made: Made, path: str) -> Iterator[Failure]:
    """learn.microsoft.com/azure/virtual-machines/linux/faq: a password or a key."""
    profile = made.get(path)
    if not isinstance(profile, dict):
        return
    keyed = at(profile, "linuxConfiguration.disablePasswordAuthentication")
    if keyed is True and not items(at(profile, "linuxConfiguration.ssh.publicKeys")):
        yield Failure(f"{path}.linuxConfiguration.ssh.publicKeys", "is required without a password")
    if keyed in (None, False) and profile.get("adminPassword") is None:
        yield Failure(
            f"{path}.adminPassword", "is required, or disablePasswordAuthentication with a public key"
        )
    if profile.get("adminUsername") in ("admin", "root", "administrator", "user", "test", "guest"):
        yield Failure(f"{path}.adminUsername", f"{profile['adminUsername']!r} is a name that Azure refuses")


def machine(made: Made) -> Iterator[Failure]:
    """learn.microsoft.com/rest/api/compute/virtual-machines/create-or-update."""
    yield from _priority(made, "")
    yield from in_base64(made, "userData", _LARGEST_DATA)
    yield from in_base64(made, "osProfile.customData", _LARGEST_DATA)
    yield from _login(made, "osProfile")


def virtual_network(made: Made) -> Iterator[Failure]:
    """learn.microsoft.com/azure/virtual-network/virtual-networks-faq: /2 to /29."""
    prefixes = made.get("addressSpace.addressPrefixes")
    if made.get("addressSpace") is None:
        yield Failure("addressSpace", "is required")
    for number, prefix in enumerate(items(prefixes)):
        yield from network(prefix, f"addressSpace.addressPrefixes[{number}]", 29, 2)


def subnet(made: Made) -> Iterator[Failure]:
    """learn.microsoft.com/azure/virtual-network/virtual-networks-faq: /29 is the smallest."""
    yield from exactly_one(made, "addressPrefix", "addressPrefixes")
    yield from network(made.get("addressPrefix"), "addressPrefix", 29, 2)
    for number, prefix in enumerate(items(made.get("addressPrefixes"))):
        yield from network(prefix, f"addressPrefixes[{number}]", 29, 2)


def security_group(made: Made) -> Iterator[Failure]:
    """learn.microsoft.com/azure/virtual-network/network-security-groups-overview, rules inside a group."""
    seen: dict[tuple[object, object], object] = {}
    for number, rule in enumerate(items(made.get("securityRules"))):
        path = f"securityRules[{number}]"
        yield from _security_rule(rule, f"{path}.")
        key = (rule.get("direction"), rule.get("priority"))
        if known(key[1]) and key in seen:
            yield Failure(f"{path}.priority", f"{key[1]} is also the priority of {seen[key]}")
        seen[key] = rule.get("name")


def security_rule(made: Made) -> Iterator[Failure]:
    """A rule as a resource of its own."""
    yield from _security_rule(made.inputs, "")


def _security_rule(rule: dict, path: str) -> Iterator[Failure]:
    priority = rule.get("priority")
    if isinstance(priority, int) and not 100 <= priority <= 4096:
        yield Failure(f"{path}priority", f"{priority} is not within 100 to 4096")
    for side in ("source", "destination"):
        for what, also in (("AddressPrefix", "ApplicationSecurityGroups"), ("PortRange", None)):
            one, many = f"{side}{what}", f"{side}{what}{'es' if what == 'AddressPrefix' else 's'}"
            given = [n for n in (one, many, f"{side}{also}" if also else "") if rule.get(n)]
            if not given:
                yield Failure(f"{path}{one}", f"one of {one}, {many} is required")
            elif len(given) > 1:
                yield Failure(f"{path}{given[1]}", f"conflicts with {given[0]}")
        ports = [rule.get(f"{side}PortRange"), *items(rule.get(f"{side}PortRanges"))]
        for port in ports:
            if isinstance(port, str) and not re.fullmatch(r"\*|\d{1,5}(?:-\d{1,5})?", port):
                yield Failure(f"{path}{side}PortRange", f"{port!r} is no port, range of ports or *")


def public_address(made: Made) -> Iterator[Failure]:
    """learn.microsoft.com/azure/virtual-network/ip-services/public-ip-addresses: Standard addresses are static."""
    if made.get("sku.name") == "Standard" and made.get("publicIPAllocationMethod") != "Static":
        yield Failure("publicIPAllocationMethod", "must be Static for the Standard sku")
    if made.get("sku.name") in (None, "Basic"):
        yield Failure("sku.name", "must be Standard: Basic addresses were retired in September 2025")
    yield from between(made, "idleTimeoutInMinutes", 4, 30, " min")


def storage_account(made: Made) -> Iterator[Failure]:
    """learn.microsoft.com/azure/storage/common/storage-account-overview."""
    if made.get("kind") == "BlobStorage" and made.get("accessTier") is None:
        yield Failure("accessTier", "is required for BlobStorage")


def vault(made: Made) -> Iterator[Failure]:
    """learn.microsoft.com/azure/key-vault/general/soft-delete-overview: 7 to 90 days."""
    yield from between(made, "properties.softDeleteRetentionInDays", 7, 90, " days")
    if made.get("properties.enablePurgeProtection") is False:
        yield Failure("properties.enablePurgeProtection", "can't be false: leave it out")
    if (
        made.get("properties.enableRbacAuthorization") is not True
        and made.get("properties.accessPolicies") is None
    ):
        yield Failure("properties.accessPolicies", "is required without enableRbacAuthorization")


def federated(made: Made) -> Iterator[Failure]:
    """learn.microsoft.com/entra/workload-id/workload-identity-federation-create-trust-user-assigned-managed-identity."""
    audiences = made.get("audiences")
    if isinstance(audiences, list) and len(audiences) != 1:
        yield Failure("audiences", "has exactly one item")


def assignment(made: Made) -> Iterator[Failure]:
    """learn.microsoft.com/rest/api/authorization/role-assignments/create."""
    scope, role = made.get("scope"), made.get("roleDefinitionId")
    if isinstance(scope, str) and not scope.startswith("/"):
        yield Failure("scope", f"{scope!r} is no resource id")
    if isinstance(role, str) and "/providers/Microsoft.Authorization/roleDefinitions/" not in role:
        yield Failure("roleDefinitionId", f"{role!r} is no id of a role definition")


def profile(made: Made) -> Iterator[Failure]:
    """learn.microsoft.com/azure/traffic-manager/traffic-manager-monitoring."""
    if known(made.get("monitorConfig.path")) and made.get("monitorConfig.protocol") == "TCP":
        yield Failure("monitorConfig.path", "is not for TCP")
    interval = made.get("monitorConfig.intervalInSeconds")
    if known(interval) and interval not in (10, 30):
        yield Failure("monitorConfig.intervalInSeconds", f"{interval} is neither 10 nor 30")
    timeout = made.get("monitorConfig.timeoutInSeconds")
    most = 9 if interval == 10 else 10
    if isinstance(timeout, int) and not 5 <= timeout <= most:
        yield Failure("monitorConfig.timeoutInSeconds", f"{timeout} is not within 5 to {most}")


def tags_and_location(made: Made) -> Iterator[Failure]:
    """learn.microsoft.com/azure/azure-resource-manager/management/tag-resources; locations that exist."""
    tags = made.get("tags")
    if isinstance(tags, dict):
        if len(tags) > 50:
            yield Failure("tags", f"has {len(tags)} tags, 50 are allowed")
        for key, value in tags.items():
            if len(key) > 512 or set(key) & set("<>%&\\?/"):
                yield Failure(f"tags.{key}", "a key has at most 512 characters, none of <>%&\\?/")
            if isinstance(value, str) and len(value) > 256:
                yield Failure(f"tags.{key}", "a value has at most 256 characters")
    yield from location_failures(made)
    yield from at_most_one(made, "zones", "extendedLocation")


def _of(name: str) -> str:
    return f"azure-native:{name}"


RULES: dict[str, tuple[Rule, ...]] = {
    "": (tags_and_location,),
    _of("compute:VirtualMachineScaleSet"): (scale_set,),
    _of("compute:VirtualMachine"): (machine,),
    _of("network:VirtualNetwork"): (virtual_network,),
    _of("network:Subnet"): (subnet,),
    _of("network:NetworkSecurityGroup"): (security_group,),
    _of("network:SecurityRule"): (security_rule,),
    _of("network:PublicIPAddress"): (public_address,),
    _of("storage:StorageAccount"): (storage_account,),
    _of("keyvault:Vault"): (vault,),
    _of("managedidentity:FederatedIdentityCredential"): (federated,),
    _of("authorization:RoleAssignment"): (assignment,),
    _of("trafficmanager:Profile"): (profile,),
    DEPLOYMENT: (template,),
}
