"""Secrets of a service by the names that the stack declares them with."""

import pytest

from lb.agent.bundle import BundleError
from lb.agent.clouds.protocol import POOL_TAG, CloudError
from lb.agent.secrets import StoreSecrets, called_in
from spec import certificates, labels
from spec.names import secret_name
from tests.lb.agent.machine import a_bundle


@pytest.mark.parametrize("cloud", ["aws", "gcp", "azure"])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        ("service-chat", "HF_TOKEN"),
        (certificates.pool_owner("chat.aws.euw1-az1.A100-80GBx2.spot"), certificates.LEAF),
    ],
)
def test_names_are_those_of_the_spec(cloud, owner, name):
    assert called_in(cloud, "prod", owner, name) == secret_name(cloud, "prod", owner, name)


def test_the_tag_is_that_of_the_spec():
    assert POOL_TAG == labels.POOL_TAG


def test_only_what_a_bundle_names_is_asked_for(tmp_path):
    asked = []

    def read(called):
        asked.append(called)
        return b"value\n"

    secrets = StoreSecrets(read, cloud="gcp", env="prod", service="chat")
    assert secrets.of(a_bundle(tmp_path)) == {}
    assert secrets.of(a_bundle(tmp_path, secrets=("HF_TOKEN",))) == {"HF_TOKEN": "value"}
    assert asked == ["tradewind_prod_service-chat_HF_TOKEN"]


def test_what_the_store_does_not_give_may_come_later_and_what_is_no_text_never(tmp_path):
    def away(called):
        raise CloudError(called)

    bundle = a_bundle(tmp_path, secrets=("HF_TOKEN",))
    with pytest.raises(CloudError):
        StoreSecrets(away, cloud="aws", env="prod", service="chat").of(bundle)
    with pytest.raises(BundleError, match="no text"):
        StoreSecrets(lambda _: b"\xff\xfe", cloud="aws", env="prod", service="chat").of(bundle)
