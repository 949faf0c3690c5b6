import json

import pytest

from lb.edge.config import read_config
from spec.errors import InputError, SpecError

GOOD = {
    "edge_id": "edge-dev",
    "controller_url": "http://127.0.0.1:18083",
    "token_file": "/srv/secrets/token",
    "bucket": "file:///srv/state",
    "dir": "/srv/edge",
    "access_log": "/srv/logs/access.log",
    "host": "127.0.0.1",
    "port": 18081,
}


def read(tmp_path, **change):
    path = tmp_path / "edge.json"
    path.write_text(json.dumps({**GOOD, **change}))
    return read_config(path)


def test_what_the_stack_writes_is_read(tmp_path):
    assert str(read(tmp_path).dir) == "/srv/edge"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"port": 70000}, "port"),
        ({"dir": "edge"}, "absolute"),
        ({"access_log": "logs/access.log"}, "absolute"),
        ({"controller_url": "127.0.0.1:1"}, "controller_url"),
        ({"edge_id": "../other"}, "edge_id"),
        ({"tokenfile": "x"}, "Did you mean `token_file`?"),
        ({"public_key_file": "/srv/key"}, "belong together"),
        ({"public_file": "/a", "public_cert_file": "/b", "public_key_file": "/c"}, "exclude each other"),
        ({"controller_url": "https://10.0.0.1:9444"}, "leaf_file"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_a_wrong_field_is_named_with_the_file(tmp_path, change, said):
    with pytest.raises(SpecError) as e:
        read(tmp_path, **change)
    assert "edge.json" in str(e.value)
    assert said in str(e.value)


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        read_config(tmp_path / "none.json")
