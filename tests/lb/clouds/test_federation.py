"""Who the controller is elsewhere: what it shows to each cloud, answered as those clouds answer."""

import asyncio
import base64
import json
from urllib.parse import parse_qs

import botocore.session
import pytest
import responses
from moto import mock_aws

from lb.clouds import federation
from lb.clouds.protocol import Denied
from lb.config import AwsConfig, AzureConfig, GcpConfig

TENANT = "11111111-2222-3333-4444-555555555555"
REGIONS = frozenset({"us-east-1"})


def a_jwt(**claims):
    parts = ({"alg": "RS256"}, claims, "signature")
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts)


A_JWT = a_jwt(exp=4_000_000_000, aud="sts.amazonaws.com")


class Own:
    """The home cloud's signature."""

    def __init__(self):
        self.asked = []

    def __call__(self, audience):
        self.asked.append(audience)
        return f"signed-for-{audience}"


@pytest.fixture
def own():
    return Own()


@pytest.fixture
def web():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def form(call):
    sent = call.request.body
    return parse_qs(sent if isinstance(sent, str) else sent.decode())


def test_aws_gives_a_role_for_the_token_of_another_cloud(own, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    role = "arn:aws:iam::123456789012:role/tw-prod-controller"
    config = AwsConfig(regions=REGIONS, role_arn=role)
    with mock_aws():
        session = federation.aws_session(config, own)
        assert own.asked == [], "nothing is asked before it is needed"
        found = federation.aws_store_credentials(session)()
        who = session.client("sts", region_name="us-east-1").get_caller_identity()["Arn"]
    assert own.asked == ["sts.amazonaws.com"]
    assert found["token"]
    assert who.startswith("arn:aws:sts::123456789012:assumed-role/tw-prod-controller/")


def test_a_host_in_aws_is_its_own_role():
    session = federation.aws_session(
        AwsConfig(regions=REGIONS), federation.own_token("aws", region="us-east-1")
    )
    assert not isinstance(session.get_credentials(), botocore.credentials.DeferredRefreshableCredentials), (
        "no role is taken on"
    )


GCP = GcpConfig(
    regions=frozenset({"us-central1"}),
    project="acme",
    federation={
        "provider": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/home",
        "audience": "tradewind",
        "service_account": "controller@acme.iam.gserviceaccount.com",
    },
)


def google_answers(web):
    web.post(
        "https://sts.googleapis.com/v1/token",
        json={
            "access_token": "federated",
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": 3600,
        },
    )
    web.post(
        "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"
        "controller@acme.iam.gserviceaccount.com:generateAccessToken",
        json={"accessToken": "as-the-account", "expireTime": "2099-01-01T00:00:00Z"},
    )


def test_google_gives_a_service_account_for_the_token_of_another_cloud(own, web):
    google_answers(web)
    tokens = federation.GcpTokens(lambda: federation.gcp_credentials(GCP, own))
    assert asyncio.run(tokens.bearer()) == "as-the-account"
    assert own.asked == ["tradewind"]
    shown = form(web.calls[0])
    assert shown["subject_token"] == ["signed-for-tradewind"]
    assert shown["audience"] == [GCP.federation.provider]
    tokens.for_store()
    assert own.asked == ["tradewind"], "a token that is good for long is not asked for again"


def test_google_that_refuses_is_a_denial(own, web):
    web.post("https://sts.googleapis.com/v1/token", status=400, json={"error": "invalid_grant"})
    with pytest.raises(Denied, match=r"GCP: .*invalid_grant"):
        federation.GcpTokens(lambda: federation.gcp_credentials(GCP, own)).now()


AZURE = AzureConfig(
    regions=frozenset({"eastus"}), subscription="s", tenant=TENANT, client_id="the-identity", federated=True
)


def microsoft_answers(web, token):
    root = f"https://login.microsoftonline.com/{TENANT}"
    web.get(
        f"{root}/v2.0/.well-known/openid-configuration",
        json={
            "token_endpoint": f"{root}/oauth2/v2.0/token",
            "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
            "issuer": f"{root}/v2.0",
        },
    )
    web.post(f"{root}/oauth2/v2.0/token", **token)


def test_azure_gives_an_identity_for_the_token_of_another_cloud(own, web):
    microsoft_answers(web, {"json": {"access_token": "arm", "expires_in": 3600, "token_type": "Bearer"}})
    tokens = federation.AzureTokens(AZURE, own)
    assert asyncio.run(tokens.bearer()()) == "arm"
    assert own.asked == ["api://AzureADTokenExchange"]
    shown = form(web.calls[-1])
    assert shown["client_id"] == ["the-identity"]
    assert shown["client_assertion"] == ["signed-for-api://AzureADTokenExchange"]
    assert shown["scope"][0].startswith("https://management.azure.com/.default")


def test_azure_that_refuses_is_a_denial(own, web):
    error = {"error": "invalid_client", "error_description": "AADSTS700213: no matching federated identity"}
    microsoft_answers(web, {"status": 401, "json": error})
    with pytest.raises(Denied, match="AADSTS700213"):
        federation.AzureTokens(AZURE, own).now(federation.ARM_SCOPE)


def test_a_host_in_gcp_asks_its_metadata_server_for_a_token(web, monkeypatch):
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    metadata = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default"
    flavor = {"Metadata-Flavor": "Google"}
    web.get("http://169.254.169.254", headers=flavor)
    web.get(f"{metadata}/identity", body=A_JWT, headers=flavor)
    web.get(f"{metadata}/", json={"email": "c@acme", "aliases": [], "scopes": []}, headers=flavor)
    assert federation.own_token("gcp")("sts.amazonaws.com") == A_JWT
    asked = [c.request.url for c in web.calls if "/identity" in c.request.url]
    assert "audience=sts.amazonaws.com" in asked[0]


def test_the_config_names_what_it_does_not_know(tmp_path):
    from lb.config import read_config
    from spec.errors import SpecError

    path = tmp_path / "controller.json"
    aws = {"regions": ["us-east-1"], "role_arm": "x"}
    path.write_text(
        json.dumps(
            {
                "stack": "p",
                "env": "p",
                "bucket": "s3://b",
                "port": 1,
                "token_file": "t",
                "clouds": {"aws": aws},
            }
        )
    )
    with pytest.raises(SpecError, match=r"role_arm.*role_arn"):
        read_config(path)
