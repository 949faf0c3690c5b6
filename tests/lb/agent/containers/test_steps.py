"""A bundle's image as a step, and images of private registries."""

import json

import pytest

from lb.agent.bundle import BundleError
from lb.agent.containers.refuse import refuse_image
from lb.agent.containers.steps import Containers
from lb.agent.files import PrivateFolder
from lb.agent.secrets import FolderSecrets
from lb.agent.status import Phase
from tests.lb.agent.machine import a_bundle
from tests.lb.agent.processes import eventually

IMAGE = "acme/engine:1"
LOGIN = {"SKYPILOT_DOCKER_USERNAME": "me", "SKYPILOT_DOCKER_SERVER": "ghcr.io"}


@pytest.fixture
def containers(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/SKYPILOT_DOCKER_PASSWORD").write_text("pw_of_the_registry\n")
    return Containers(
        machine="i-1",
        folder=tmp_path / "containers",
        private=PrivateFolder(tmp_path / "private"),
        log=tmp_path / "log",
        grace_s=4,
        secrets=FolderSecrets(tmp_path / "secrets"),
    )


def pulled(containers, bundle):
    [step] = containers(bundle)
    process = step.start()
    code = eventually(lambda: (c := process.poll()) is not None and (c,), seconds=30)[0]
    return code, step.progress()


def test_a_bundle_without_an_image_needs_nothing(containers, tmp_path):
    assert containers(a_bundle(tmp_path)) == []
    assert containers.sweep() == ""


def test_an_image_is_pulled_in_a_phase_of_its_own(containers, tmp_path):
    [step] = containers(a_bundle(tmp_path, image=IMAGE))
    assert (step.phase, step.what) == (Phase.PULLING, "pulling")


@pytest.mark.e2e
def test_what_a_registry_refuses_is_what_the_step_says(containers, tmp_path, stand_in):
    code, said = pulled(containers, a_bundle(tmp_path, image=IMAGE))
    assert code == 1
    assert said.startswith(f"{IMAGE}: ")
    assert "there is no such image" in said
    assert stand_in.containers() == []


@pytest.mark.e2e
def test_a_private_image_comes_with_the_services_login_which_is_in_no_argument_and_stays_nowhere(
    containers, tmp_path, stand_in
):
    stand_in.registry({f"ghcr.io/{IMAGE}": {"login": ["me", "pw_of_the_registry"]}})
    bundle = a_bundle(tmp_path, image=IMAGE, envs=LOGIN, secrets=("SKYPILOT_DOCKER_PASSWORD",))
    assert pulled(containers, bundle) == (0, "")
    assert ["login", "--username=me", "--password-stdin", "ghcr.io"] in stand_in.calls()
    assert "pw_of_the_registry" not in json.dumps(stand_in.calls())
    assert list((tmp_path / "private").iterdir()) == []


@pytest.mark.e2e
def test_a_login_that_is_refused_is_told(containers, tmp_path, stand_in):
    stand_in.registry({f"ghcr.io/{IMAGE}": {"login": ["me", "another"]}})
    bundle = a_bundle(tmp_path, image=IMAGE, envs=LOGIN, secrets=("SKYPILOT_DOCKER_PASSWORD",))
    code, said = pulled(containers, bundle)
    assert code == 1
    assert "the registry wants another login" in said


def test_half_a_login_is_refused(containers, tmp_path):
    with pytest.raises(BundleError, match="wanted together"):
        containers(a_bundle(tmp_path, image=IMAGE, envs=LOGIN))


def test_machines_without_containers_refuse_images_with_the_way_out(tmp_path):
    with pytest.raises(BundleError, match=r"local cloud .* leave `image_id` out"):
        refuse_image(a_bundle(tmp_path, image=IMAGE))
