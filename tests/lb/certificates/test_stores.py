"""The clouds' secret stores: AWS emulated, Google's and Azure's as their REST interfaces answer."""

import asyncio
import base64
import json

import boto3
import httpx
import pytest
from moto import mock_aws

from lb.certificates.stores import AwsSecrets, AzureSecrets, GcpSecrets
from lb.clouds.protocol import Denied, NotFound

VAULT = "https://tw-test.vault.azure.net"


async def token():
    return "t0ken"


class Google:
    """Secret Manager: versions by secret; destroyed ones are None."""

    def __init__(self):
        self.versions = {"leaf": ["{}"]}
        self.denied = False

    def __call__(self, request):
        assert request.headers["authorization"] == "Bearer t0ken"
        if self.denied:
            error = {"code": 403, "message": "Permission 'secretmanager.versions.access' denied"}
            return httpx.Response(403, json={"error": error})
        name, _, rest = request.url.path.removeprefix("/v1/projects/acme/secrets/").partition("/")
        name, _, verb = name.partition(":")
        versions = self.versions.get(name)
        if versions is None:
            return httpx.Response(404, json={"error": {"code": 404, "message": "Secret not found"}})
        if verb == "addVersion":
            data = json.loads(request.content)["payload"]["data"]
            versions.append(base64.b64decode(data).decode())
            return httpx.Response(200, json={"name": f"projects/1/secrets/{name}/versions/{len(versions)}"})
        if rest == "versions/latest:access":
            data = base64.b64encode(versions[-1].encode()).decode()
            return httpx.Response(200, json={"payload": {"data": data}})
        number, _, verb = rest.removeprefix("versions/").partition(":")
        assert verb == "destroy"
        versions[int(number) - 1] = None
        return httpx.Response(200, json={})


class Azure:
    """A vault."""

    def __init__(self):
        self.values = {"leaf": "{}"}

    def __call__(self, request):
        assert request.headers["authorization"] == "Bearer t0ken"
        assert request.url.params["api-version"] == "7.4"
        name = request.url.path.removeprefix("/secrets/")
        if request.method == "PUT":
            self.values[name] = json.loads(request.content)["value"]
        if name not in self.values:
            return httpx.Response(404, json={"error": {"code": "SecretNotFound", "message": "not found"}})
        return httpx.Response(200, json={"value": self.values[name], "id": f"{VAULT}/secrets/{name}/1"})


@pytest.fixture
def aws(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("secretsmanager", region_name="eu-west-1")
        client.create_secret(Name="leaf", SecretString="{}")
        yield AwsSecrets(lambda: client)


@pytest.fixture
def gcp():
    client = httpx.AsyncClient(transport=httpx.MockTransport(Google()))
    return GcpSecrets(client, token, project="acme")


@pytest.fixture
def azure():
    client = httpx.AsyncClient(transport=httpx.MockTransport(Azure()))
    return AzureSecrets(client, token, vault=VAULT + "/")


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
def test_what_is_written_is_read_and_nothing_is_made_that_was_not_declared(cloud, request):
    store = request.getfixturevalue(cloud)

    async def story():
        assert await store.read("leaf") == "{}"
        await store.write("leaf", "issued")
        assert await store.read("leaf") == "issued"
        assert await store.read("nobody-declared-it") is None
        with pytest.raises(NotFound):
            await store.write("nobody-declared-it", "issued")

    asyncio.run(story())


def test_of_googles_versions_two_are_kept_and_the_one_that_the_stack_declares():
    google = Google()
    store = GcpSecrets(httpx.AsyncClient(transport=httpx.MockTransport(google)), token, project="acme")

    async def story():
        for number in range(4):
            await store.write("leaf", f"leaf {number}")

    asyncio.run(story())
    assert google.versions["leaf"] == ["{}", None, None, "leaf 2", "leaf 3"]


def test_a_refusal_is_the_protocols_and_says_why():
    google = Google()
    google.denied = True
    store = GcpSecrets(httpx.AsyncClient(transport=httpx.MockTransport(google)), token, project="acme")
    with pytest.raises(Denied, match=r"versions\.access"):
        asyncio.run(store.read("leaf"))
