"""The authority and the secrets of certificates, as they are declared."""

import json

import pulumi
import pulumi_tls as tls
import pytest

from components.certificates import Certificates, CertificatesArgs
from spec.certificates import NOT_ISSUED, parse_leaf
from spec.desired import Pool, Prices
from spec.names import Market, PoolKind
from tests.loop import set_loop

PEM = "-----BEGIN EC PRIVATE KEY-----\nthe authority's\n"


class Recorder(pulumi.runtime.Mocks):
    def __init__(self):
        self.resources = {}

    def new_resource(self, args):
        self.resources[args.typ, args.name] = dict(args.inputs)
        return args.name, {**args.inputs, "privateKeyPem": PEM, "certPem": "the authority's certificate"}

    def call(self, args):
        return {}


class RecordingStore:
    """Keeps what is declared; of a value that is known later, its text once it is."""

    def __init__(self):
        self.secrets = {}

    def secret(self, name, *, owner, value, renewed=False, opts):
        self.secrets[owner, name] = declared = {"renewed": renewed}
        pulumi.Output.from_input(value).apply(lambda text: declared.update(value=text))


def pool(cloud, zone, kind=PoolKind.VM):
    return Pool(
        id=f"chat.{cloud}.{zone}.L4x1.spot",
        service="chat",
        kind=kind,
        cloud=cloud,
        region="r",
        market=Market.SPOT,
        accelerator="L4",
        accelerator_count=1,
        instance_types=("x",),
        max_size=1,
        prices=Prices(),
    )


@pytest.fixture(scope="module")
def declared():
    recorder, stores = Recorder(), {"aws": RecordingStore(), "gcp": RecordingStore()}
    set_loop()
    pulumi.runtime.set_mocks(recorder, project="tradewind", stack="prod")

    @pulumi.runtime.test
    def declare():
        args = CertificatesArgs(
            env="prod",
            home="aws",
            stores=stores,
            edges={"aws"},
            pools=[pool("aws", "use1-az1"), pool("gcp", "us-a"), pool("gcp", "here", PoolKind.EXTERNAL)],
            public=True,
            provider=tls.Provider("tls"),
        )
        return Certificates("certificates", args).authority

    declare()
    return recorder, stores


def test_one_authority_that_may_issue_leafs_only_and_is_not_deleted_by_accident(declared):
    [inputs] = [v for (typ, _), v in declared[0].resources.items() if typ.endswith(":SelfSignedCert")]
    assert inputs["isCaCertificate"] is True
    assert inputs["maxPathLength"] == 0
    assert inputs["validityPeriodHours"] == 10 * 365 * 24
    assert not [typ for typ, _ in declared[0].resources if typ.endswith(":LocallySignedCert")]


def test_the_key_of_the_authority_is_the_controllers_secret_and_nobody_elses(declared):
    stores = declared[1]
    holders = [
        (cloud, owner, name)
        for cloud, store in stores.items()
        for (owner, name), secret in store.secrets.items()
        if secret["value"] == PEM
    ]
    assert holders == [("aws", "controller", "ca-key")]


def test_every_pool_of_machines_has_a_secret_in_its_own_cloud_that_the_controller_will_write(declared):
    stores = declared[1]
    assert set(stores["gcp"].secrets) == {("pool-chat.gcp.us-a.L4x1.spot", "leaf")}
    leafs = {
        (c, *k): s for c, store in stores.items() for k, s in store.secrets.items() if k[0] != "controller"
    }
    assert {k[0:2] for k in leafs} == {
        ("aws", "edge"),
        ("aws", "pool-chat.aws.use1-az1.L4x1.spot"),
        ("gcp", "pool-chat.gcp.us-a.L4x1.spot"),
    }
    assert all(secret == {"renewed": True, "value": NOT_ISSUED} for secret in leafs.values())


def test_what_is_not_issued_yet_is_no_leaf():
    assert parse_leaf(NOT_ISSUED) is None
    assert parse_leaf(json.dumps({"cert": "c", "key": "k"})).ca == ""
