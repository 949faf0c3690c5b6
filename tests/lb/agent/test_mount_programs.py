"""Where a machine gets the mount programs, when its image has none."""

import subprocess

import pytest

from lb.agent.mounts.install import Installer
from lb.agent.mounts.mount import MountError

RELEASE = 'NAME="Ubuntu"\nID=ubuntu\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n'


class Machine:
    def __init__(self, root):
        self.fetched, self.ran, self.waits, self.fails = [], [], [], 0
        (root / "etc/apt/sources.list.d").mkdir(parents=True)
        (root / "etc/os-release").write_text(RELEASE)
        self.root = root
        self.installer = Installer(root=root, fetch=self.fetch, run=self.run)

    def fetch(self, url):
        self.fetched.append(url)
        return b"key or package"

    def run(self, command):
        if self.fails:
            self.fails -= 1
            raise subprocess.CalledProcessError(100, command)
        self.ran.append([word for word in command if word not in {"-q", "-o", "DPkg::Lock::Timeout=600"}])

    def install(self, cloud):
        self.installer.install(cloud, pause=self.waits.append)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_of_aws_is_the_makers_package(machine):
    machine.install("aws")
    [url] = machine.fetched
    assert url.startswith("https://s3.amazonaws.com/mountpoint-s3-release/latest/")
    assert [command[:2] for command in machine.ran] == [["apt-get", "update"], ["apt-get", "install"]]
    assert machine.ran[1][3].endswith("/mount-s3.deb")


def test_of_google_is_from_its_repository_with_its_key(machine):
    machine.install("gcp")
    source = (machine.root / "etc/apt/sources.list.d/gcsfuse.list").read_text()
    assert source.endswith("https://packages.cloud.google.com/apt gcsfuse-noble main\n")
    assert (machine.root / "usr/share/keyrings/cloud.google.asc").read_bytes() == b"key or package"
    assert "signed-by=/usr/share/keyrings/cloud.google.asc" in source
    assert machine.ran[-1] == ["apt-get", "install", "-y", "gcsfuse"]


def test_of_azure_is_from_microsofts_repository(machine):
    machine.install("azure")
    assert machine.fetched == [
        "https://packages.microsoft.com/config/ubuntu/24.04/packages-microsoft-prod.deb"
    ]
    assert machine.ran[0][0] == "dpkg"
    assert machine.ran[-1] == ["apt-get", "install", "-y", "fuse3", "blobfuse2"]


def test_a_failure_is_tried_again_and_then_told_with_the_way_out(machine):
    machine.fails = 2
    machine.install("gcp")
    assert machine.waits == [10, 10]
    machine.fails = 3
    with pytest.raises(MountError, match=r"gcsfuse can't be installed: .*mode: COPY"):
        machine.install("gcp")
