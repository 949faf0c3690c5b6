"""Which certificate files an edge takes, and what it says of those that it doesn't."""

import json
import time

import pytest

from lb.certificates.authority import Wish
from lb.edge.certificates import Certificates
from lb.edge.config import EdgeConfig
from lb.envoy import names
from spec.certificates import EDGE, NOT_ISSUED
from spec.errors import InputError
from tests.lb.certificates.authority import an_authority

OURS = an_authority()


def leaf(*names_, **usages):
    return OURS.issue(Wish(names_, **usages), time.time())


class Host:
    """The files of a host, and the agent's folder."""

    def __init__(self, folder):
        self.folder = folder
        self.written = {}

    def write(self, name, content):
        (self.folder / name).write_text(content)
        self.written[f"{name}_file"] = self.folder / name

    def config(self):
        return EdgeConfig(
            edge_id="edge",
            controller_url="http://127.0.0.1:1",
            token_file=self.folder / "token",
            bucket="file:///none",
            dir=self.folder / "edge",
            access_log=self.folder / "log",
            port=1,
            **self.written,
        )

    def secret(self, name):
        text = (names.sds_dir(self.folder / "edge") / names.sds_file(name)).read_text()
        return json.loads(text)["resources"][0]


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_the_users_own_certificate_comes_in_two_files(host):
    own = leaf("llm.example.com", server=True)
    host.write("public_cert", own.cert)
    host.write("public_key", own.key)
    Certificates(host.config())
    secret = host.secret(names.PUBLIC)["tls_certificate"]
    assert secret["certificate_chain"] == {"inline_string": own.cert}
    assert (names.sds_dir(host.folder / "edge") / "public.json").stat().st_mode & 0o777 == 0o600


def test_a_certificate_with_the_key_of_another_one_is_not_handed_on_until_both_are_there(host):
    first, second = leaf("llm.example.com", server=True), leaf("llm.example.com", server=True)
    host.write("public_cert", first.cert)
    host.write("public_key", first.key)
    certificates = Certificates(host.config())
    host.write("public_cert", second.cert)
    with pytest.raises(InputError, match=r"public_cert_file: .* \(KEY_VALUES_MISMATCH\)"):
        certificates.refresh()
    assert host.secret(names.PUBLIC)["tls_certificate"]["certificate_chain"] == {"inline_string": first.cert}
    host.write("public_key", second.key)
    certificates.refresh()
    assert host.secret(names.PUBLIC)["tls_certificate"]["certificate_chain"] == {"inline_string": second.cert}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (NOT_ISSUED, "holds no certificate yet; the controller issues it"),
        ('{"cert": "c", "key": "k"}', "not PEM"),
    ],
)
def test_an_agent_does_not_start_without_its_leaf(host, content, said):
    host.write("leaf", content)
    with pytest.raises(InputError, match=said):
        Certificates(host.config())


def test_a_missing_file_is_named(host):
    host.write("leaf", leaf(EDGE, client=True).model_dump_json())
    config = host.config()
    (host.folder / "leaf").unlink()
    with pytest.raises(InputError, match=r"leaf_file: cannot read .*/leaf: No such file"):
        Certificates(config)


def test_an_edge_without_certificates_has_nothing_to_hand_on(host):
    certificates = Certificates(host.config())
    assert certificates.mutual is None
    assert not (host.folder / "edge").exists()


def test_the_key_is_in_no_error(host):
    own = leaf("llm.example.com", server=True)
    host.write("leaf", json.dumps({"cert": "damaged", "key": own.key}))
    with pytest.raises(InputError) as e:
        Certificates(host.config())
    assert own.key.splitlines()[1] not in str(e.value)
