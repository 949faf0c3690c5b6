"""What the components declare of one environment in one cloud, as the plain values with which that cloud is then filled.

A whole environment is declared without an engine: hosts with their user data, objects, secrets, groups and rights.
So a test that boots a host boots what a stack would bring up, and what a right forgets fails there.
"""

import base64
import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest import mock

import pulumi

from catalog.fixed import load_fixed
from catalog.load import load
from components.environment import Environment, EnvironmentArgs
from planner.environment import plan_stack
from spec.read import read_services
from spec.secrets import CALLER_KEY
from spec.stack import parse
from tests.clouds.booting import PYTHON
from tests.lb.certificates.authority import authority_pems
from tests.loop import set_loop
from tools import archive

ACCOUNT, PROJECT, NUMBER = "123456789012", "a-project", "123456789012"
SUBSCRIPTION, TENANT = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
ACCOUNTS = {
    "aws": {"accountId": ACCOUNT},
    "gcp": {"project": PROJECT, "projectNumber": NUMBER},
    "azure": {"subscriptionId": SUBSCRIPTION, "tenantId": TENANT},
}
GROUPS = f"/subscriptions/{SUBSCRIPTION}/resourceGroups"
ADDRESS = "127.0.0.1"
"""Of every host, balancer and name: this computer."""


@dataclass
class Declared:
    """`objects` by key, `secrets` by name. `hosts`: user data and identity by name. `resources`: the inputs of everything.

    Of Azure: `identities`: client and principal by resource id; `container_id` and `vault_id`: what rights are given on,
    and `vault_url`.
    """

    cloud: str
    authority: str = ""
    bucket: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    hosts: dict[str, tuple[str, str]] = field(default_factory=dict)
    resources: dict[tuple[str, str], dict] = field(default_factory=dict)
    identities: dict[str, tuple[str, str]] = field(default_factory=dict)
    container_id: str = ""
    vault_id: str = ""
    vault_url: str = ""

    def of(self, type_):
        """Inputs of all resources of a type, by name."""
        return {name: inputs for (typ, name), inputs in self.resources.items() if typ == type_}


class _Recorder(pulumi.runtime.Mocks):
    """Gives every resource the outputs that others are made of."""

    def __init__(self):
        self.resources = {}
        self.authority, self._key = authority_pems()

    def new_resource(self, args):
        inputs = _plain(args.inputs)
        self.resources[args.typ, args.name] = inputs
        return self._id(args.typ, args.name, inputs), {
            "name": args.name,
            **args.inputs,
            **self._outputs(args.typ, args.name, inputs),
        }

    def call(self, args):
        if args.token == "aws:ssm/getParameter:getParameter":
            return {**args.args, "value": "ami-1", "insecureValue": "ami-0123456789abcdef0"}
        return {}

    def _id(self, type_, name, inputs):
        group = f"{GROUPS}/{inputs.get('resourceGroupName')}"
        match type_:
            case "azure-native:resources:ResourceGroup":
                return f"{GROUPS}/{inputs['resourceGroupName']}"
            case "azure-native:storage:BlobContainer":
                store = f"{group}/providers/Microsoft.Storage/storageAccounts/{inputs['accountName']}"
                return f"{store}/blobServices/default/containers/{inputs['containerName']}"
            case "azure-native:keyvault:Secret":
                vault = f"{group}/providers/Microsoft.KeyVault/vaults/{inputs['vaultName']}"
                return f"{vault}/secrets/{inputs['secretName']}"
            case "azure-native:managedidentity:UserAssignedIdentity":
                kind = "Microsoft.ManagedIdentity/userAssignedIdentities"
                return f"{group}/providers/{kind}/{inputs['resourceName']}"
            case "azure-native:authorization:RoleDefinition":
                kind = "Microsoft.Authorization/roleDefinitions"
                return f"{inputs['scope']}/providers/{kind}/{inputs['roleDefinitionId']}"
            case "gcp:projects/iAMCustomRole:IAMCustomRole":
                return f"projects/{PROJECT}/roles/{inputs['roleId']}"
        return f"id-of-{name}"

    def _outputs(self, type_, name, inputs):
        match type_:
            case "tls:index/privateKey:PrivateKey":
                return {"privateKeyPem": self._key}
            case "tls:index/selfSignedCert:SelfSignedCert":
                return {"certPem": self.authority}
            case "gcp:serviceaccount/account:Account":
                email = f"{inputs['accountId']}@{PROJECT}.iam.gserviceaccount.com"
                full = f"projects/{PROJECT}/serviceAccounts/{email}"
                return {
                    "email": email,
                    "member": f"serviceAccount:{email}",
                    "name": full,
                    "uniqueId": f"1{len(name)}",
                }
            case "gcp:projects/iAMCustomRole:IAMCustomRole":
                return {"name": f"projects/{PROJECT}/roles/{inputs['roleId']}"}
            case "gcp:compute/address:Address":
                return {"address": ADDRESS}
            case "azure-native:network:PublicIPAddress":
                return {"ipAddress": ADDRESS}
            case "azure-native:managedidentity:UserAssignedIdentity":
                return {
                    "clientId": f"client-of-{name}",
                    "principalId": f"principal-of-{name}",
                    "name": inputs["resourceName"],
                }
            case "aws:ec2/eip:Eip":
                return {"publicIp": ADDRESS, "allocationId": f"allocation-of-{name}"}
        if type_.startswith("azure-native:"):
            own = ("resourceGroupName", "accountName", "containerName", "vaultName")
            last = {
                "resources:ResourceGroup": own[0],
                "storage:StorageAccount": own[1],
                "storage:BlobContainer": own[2],
                "keyvault:Vault": own[3],
            }.get(type_.removeprefix("azure-native:"))
            listed = inputs.get("identity", {}).get("userAssignedIdentities")
            return ({"name": inputs[last]} if last else {}) | (
                {"identity": {"type": "UserAssigned", "userAssignedIdentities": {i: {} for i in listed}}}
                if isinstance(listed, list)
                else {}
            )
        return {"arn": f"arn:aws:{type_.split(':')[1].split('/')[0]}:::{inputs.get('name', name)}"}


def declare(cloud, region, service, *, env, caller_key, files):
    """An environment of one cloud: a service, and one edge host beside the controller. `files`: a folder for it all."""
    path = files / f"{service['name']}.yaml"
    path.write_text(json.dumps(service))
    config = parse(
        {
            "services": [str(path)],
            "clouds": [cloud],
            "regions": [region],
            cloud: ACCOUNTS[cloud],
            "home": {"cloud": cloud, "region": region, "deletion": "allowed"},
            "edges": [{"cloud": cloud, "region": region}],
            "tls": {"mode": "own_ca"},
            "maxPoolsPerService": 1,
        },
        file=f"Pulumi.{env}.yaml",
    )
    specs = read_services([path])
    planned = plan_stack(specs, load(), config, env=env, prices=load_fixed())
    recorder = _Recorder()
    set_loop()
    pulumi.runtime.set_mocks(recorder, project="tradewind", stack=env)

    def whole():
        Environment(
            "tradewind",
            EnvironmentArgs(
                files=files / "files",
                env=env,
                stack=env,
                config=config,
                specs=specs,
                planned=planned,
                secrets={CALLER_KEY: pulumi.Output.secret(caller_key)},
                protect=False,
            ),
        )

    # The archives' wheels are those of this computer's Python.
    with mock.patch("tools.archive.build", partial(archive.build, python=PYTHON)):
        pulumi.runtime.test(whole)()
    found = Declared(cloud, authority=recorder.authority, resources=recorder.resources)
    {"aws": _aws, "gcp": _gcp, "azure": _azure}[cloud](found)
    return found


def _aws(found):
    [bucket] = found.of("aws:s3/bucket:Bucket").values()
    found.bucket = bucket["bucket"]
    for inputs in found.of("aws:s3/bucketObjectv2:BucketObjectv2").values():
        found.objects[inputs["key"]] = _content(inputs)
    names = {
        f"id-of-{name}": inputs["name"]
        for name, inputs in found.of("aws:secretsmanager/secret:Secret").items()
    }
    for inputs in found.of("aws:secretsmanager/secretVersion:SecretVersion").values():
        found.secrets[names[inputs["secretId"]]] = inputs["secretString"]
    profiles = {p["name"]: p["role"] for p in found.of("aws:iam/instanceProfile:InstanceProfile").values()}
    for name, machine in found.of("aws:ec2/instance:Instance").items():
        found.hosts[name] = machine["userData"], profiles[machine["iamInstanceProfile"]]


def _gcp(found):
    [bucket] = found.of("gcp:storage/bucket:Bucket").values()
    found.bucket = bucket["name"]
    for inputs in found.of("gcp:storage/bucketObject:BucketObject").values():
        found.objects[inputs["name"]] = _content(inputs)
    names = {
        f"id-of-{name}": inputs["secretId"]
        for name, inputs in found.of("gcp:secretmanager/secret:Secret").items()
    }
    for inputs in found.of("gcp:secretmanager/secretVersion:SecretVersion").values():
        found.secrets[names[inputs["secret"]]] = inputs["secretData"]
    for name, machine in found.of("gcp:compute/instance:Instance").items():
        found.hosts[name] = machine["metadata"]["user-data"], machine["serviceAccount"]["email"]


def _azure(found):
    [container] = found.of("azure-native:storage:BlobContainer").values()
    found.bucket = f"{container['accountName']}/{container['containerName']}"
    for inputs in found.of("azure-native:storage:Blob").values():
        found.objects[inputs["blobName"]] = _content(inputs)
    for inputs in found.of("azure-native:keyvault:Secret").values():
        found.secrets[inputs["secretName"]] = inputs["properties"]["value"]
    group = f"{GROUPS}/{container['resourceGroupName']}/providers"
    store = f"{group}/Microsoft.Storage/storageAccounts/{container['accountName']}"
    found.container_id = f"{store}/blobServices/default/containers/{container['containerName']}"
    [vault] = found.of("azure-native:keyvault:Vault").values()
    found.vault_id = f"{group}/Microsoft.KeyVault/vaults/{vault['vaultName']}"
    found.vault_url = f"https://{vault['vaultName']}.vault.azure.net"
    for name, made in found.of("azure-native:managedidentity:UserAssignedIdentity").items():
        full = f"{group}/Microsoft.ManagedIdentity/userAssignedIdentities/{made['resourceName']}"
        found.identities[full] = f"client-of-{name}", f"principal-of-{name}"
    for name, machine in found.of("azure-native:compute:VirtualMachine").items():
        [identity] = machine["identity"]["userAssignedIdentities"]
        found.hosts[name] = base64.b64decode(machine["userData"]).decode(), identity


def _content(inputs):
    """Of an object: its text, or the file or text that it is uploaded from."""
    given = inputs.get("content") or inputs.get("source")
    if isinstance(given, pulumi.FileAsset):
        return Path(given.path).read_bytes()
    if isinstance(given, pulumi.StringAsset):
        return given.text.encode()
    encoded = inputs.get("contentBase64")
    return base64.b64decode(encoded) if encoded else given.encode()


def _plain(value):
    """Without the marks of secrets."""
    if isinstance(value, dict):
        return (
            _plain(value["value"])
            if "value" in value and len(value) == 2 and _SIGNATURE in value
            else {key: _plain(inner) for key, inner in value.items()}
        )
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


_SIGNATURE = "4dabf18193072939515e22adb298388d"
