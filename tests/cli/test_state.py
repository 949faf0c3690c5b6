"""The state bucket of a stack in the clouds, read with the user's own login; and what is said where that does not work."""

import shutil
import socket
import time

import pytest

from cli import state as module
from cli.context import Context
from cli.outputs import Whereabouts
from cli.state import CloudState, NotThere, Silent, State, state_of
from spec.errors import InputError, OutsideError
from tests.clouds.login import CLOUDS, User
from tests.e2e.checkout import ROOT

LOGIN = {"aws": "aws sso login", "gcp": "gcloud auth application-default login", "azure": "az login"}
READS = {"aws": "s3:ListBucket", "gcp": "roles/storage.objectViewer", "azure": "Storage Blob Data Reader"}
WRITES = {"aws": "s3:PutObject", "gcp": "roles/storage.objectUser", "azure": "Storage Blob Data Contributor"}

SSO = """sso_session = it
sso_account_id = 123456789012
sso_role_name = admin
[sso-session it]
sso_start_url = https://example.awsapps.com/start
sso_region = us-east-1"""
MALFORMED = (
    b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>The authorization header is malformed; the region "
    b"'us-east-1' is wrong; expecting 'eu-west-1'</Message></Error>"
)


@pytest.fixture
def context(tmp_path):
    for name in ("Pulumi.yaml", "Pulumi.prod.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    return Context("prod", tmp_path)


@pytest.fixture(params=sorted(CLOUDS))
def cloud(request, tmp_path, monkeypatch):
    """A user of that cloud, not logged in yet."""
    server = CLOUDS[request.param]()
    user = User(request.param, server, tmp_path)
    yield user
    server.close()


@pytest.fixture
def opened(cloud, context, monkeypatch):
    """Opens the bucket, or another one, with what the user's shell has by now."""

    def open_(url=None):
        cloud.sit_down(monkeypatch)
        return CloudState(context, Whereabouts(url or cloud.bucket, "https://llm.example.com", ""))

    return open_


@pytest.fixture
def state(cloud, opened):
    cloud.log_in()
    return opened()


def refusal(call, *args, kind=OutsideError):
    with pytest.raises(kind) as e:
        call(*args)
    assert e.value.exit_code == 3
    assert "of the role" not in str(e.value)
    assert "Error performing" not in str(e.value)
    return str(e.value)


def test_an_object_is_read_with_the_users_login(cloud, state):
    cloud.server.put("status.json", "{}")
    assert state.get("status.json") == b"{}"
    assert state.env == "prod"
    assert not cloud.server.refused


def test_an_object_that_nobody_has_written_is_told_from_all_else(cloud, state):
    said = refusal(state.get, "status.json", kind=NotThere)
    assert said == f"status.json is not in {cloud.bucket}"


def test_without_a_login_the_command_that_logs_in_is_said_before_the_bucket_is_asked(cloud, opened):
    said = refusal(opened)
    assert "no login to" in said
    assert LOGIN[cloud.cloud] in said
    assert not cloud.server.asked


def test_a_login_that_the_cloud_does_not_know_any_more_is_no_login(cloud, state, opened):
    if cloud.cloud == "aws":
        cloud.server.failing.append(
            (
                400,
                b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>",
            )
        )
        said = refusal(state.get, "status.json")
    elif cloud.cloud == "gcp":
        cloud.server.expired = True
        said = refusal(opened)
        assert "Reauthentication is needed" in said
    else:
        cloud.server.tokens.clear()
        said = refusal(state.get, "status.json")
    assert "no login to" in said
    assert LOGIN[cloud.cloud] in said


@pytest.mark.parametrize("cloud", ["aws"], indirect=True)
@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ("credential_process = false", "Error when retrieving credentials"),
        (SSO, "Error loading SSO Token"),
        (None, "could not be found"),
    ],
)
def test_a_profile_that_gives_no_credentials_is_no_login_and_no_traceback(
    cloud, opened, profile, says, capfd
):
    config = cloud.folder / "aws-config"
    config.write_text(f"[profile work]\n{profile}\n" if profile else "")
    cloud.environment |= {"AWS_CONFIG_FILE": str(config), "AWS_PROFILE": "work", "HOME": str(cloud.folder)}
    said = refusal(opened)
    assert "no login to AWS: " in said
    assert says in said
    assert capfd.readouterr().err == ""


def test_a_denied_read_says_which_right_is_needed(cloud, state):
    cloud.server.put("status.json", "{}")
    cloud.server.denied.add("status.json")
    said = refusal(state.get, "status.json")
    assert f"{cloud.bucket}: cannot read status.json: denied" in said
    assert READS[cloud.cloud] in said


def test_a_denied_write_says_which_right_is_needed(cloud, state):
    cloud.server.failing.append((403, b"<Error><Code>AccessDenied</Code></Error>"))
    assert WRITES[cloud.cloud] in refusal(state.put, "commands/1.json", b"{}")


def test_a_bucket_that_somebody_removed_is_said_to_be_gone(cloud, opened):
    cloud.log_in()
    gone = opened(cloud.bucket.replace("state", "another"))
    said = refusal(gone.get, "status.json")
    assert f"the state bucket {gone.where} does not exist" in said
    assert "./tw up --stack prod" in said


def test_a_store_that_fails_may_answer_in_a_moment(cloud, state):
    cloud.server.put("status.json", "{}")
    cloud.server.failing += [(500, b"")] * 3
    assert "500" in refusal(state.get, "status.json", kind=Silent)
    assert state.get("status.json") == b"{}"


def test_a_store_that_nobody_reaches_is_given_up_in_seconds(cloud, opened):
    cloud.log_in()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        for name in ("AWS_ENDPOINT_URL", "GOOGLE_BASE_URL", "AZURE_STORAGE_ENDPOINT"):
            cloud.environment[name] = url
        refusal(opened().get, "status.json", kind=Silent)


def test_a_store_that_is_too_slow_is_given_up(cloud, state, monkeypatch):
    monkeypatch.setattr(module, "LIMIT_S", 0.1)
    cloud.server.slow_s = 5.0
    before = time.monotonic()
    refusal(state.get, "status.json", kind=Silent)
    assert time.monotonic() - before < 4


@pytest.mark.parametrize(
    "cloud", ["aws"], indirect=True
)  # the others' stand-ins are for machines, which only read
def test_what_is_written_is_there_and_what_is_removed_is_not(cloud, state):
    state.put("commands/1.json", b"{}")
    assert cloud.server.objects == {"commands/1.json": b"{}"}
    state.delete("commands/1.json")
    assert cloud.server.objects == {}


@pytest.mark.parametrize("cloud", ["aws"], indirect=True)
@pytest.mark.parametrize(
    ("answer", "there"),
    [
        ((301, b"<Error><Code>PermanentRedirect</Code></Error>"), "not in us-east-1:"),
        ((400, MALFORMED), "not in us-east-1 but in eu-west-1:"),
    ],
)
def test_a_bucket_in_another_region_is_told_with_the_setting_that_says_where_it_is(
    cloud, state, answer, there
):
    cloud.server.failing.append(answer)
    said = refusal(state.get, "status.json")
    assert there in said
    assert "`tradewind:home` of Pulumi.prod.yaml" in said


@pytest.mark.parametrize("cloud", ["aws"], indirect=True)
def test_a_wrong_clock_is_not_taken_for_a_missing_right(cloud, state):
    cloud.server.skew_s = 3600
    assert "this computer's clock is wrong" in refusal(state.get, "status.json")


@pytest.mark.parametrize("cloud", ["aws"], indirect=True)
def test_the_region_of_the_users_profile_is_not_the_buckets(cloud, opened):
    cloud.log_in()
    cloud.environment |= {"AWS_REGION": "ap-south-1", "AWS_DEFAULT_REGION": "ap-south-1"}
    cloud.server.put("status.json", "{}")
    opened().get("status.json")
    assert cloud.server.signed_for == {"us-east-1"}


def test_a_local_stack_needs_neither_login_nor_settings(tmp_path, monkeypatch):
    context = Context("dev", tmp_path)
    context.state_dir.mkdir(parents=True)
    monkeypatch.setattr(module, "whereabouts", None)
    found = state_of(context)
    assert type(found) is State
    found.put("commands/1.json", b"{}")
    assert found.get("commands/1.json") == b"{}"
    found.delete("commands/1.json")
    with pytest.raises(NotThere, match="is missing"):
        found.get("commands/1.json")


def test_an_output_that_is_no_clouds_bucket_is_refused(context):
    with pytest.raises(InputError, match="its output state_url, file:///x, is in no cloud"):
        CloudState(context, Whereabouts("file:///x", "", ""))
