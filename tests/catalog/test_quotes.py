import socket
import zipfile

import pytest

from catalog.quotes import fetch
from spec.errors import OutsideError

HEADER = (
    "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size,gpu_vendor,flags,"
    "cpu_arch,provider_data"
)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A folder that looks like what gpuhunt publishes."""

    def publish(**rows_by_provider):
        for provider, rows in rows_by_provider.items():
            (tmp_path / provider / "1").mkdir(parents=True)
            (tmp_path / provider / "version").write_text("1\n")
            with zipfile.ZipFile(tmp_path / provider / "1" / "catalog.zip", "w") as z:
                z.writestr(f"{provider}.csv", "\n".join([HEADER, *rows]) + "\n")
        monkeypatch.setenv("GPUHUNT_CATALOG_URL", tmp_path.as_uri())

    return publish


def row(**changes):
    cells = {
        "name": "a2-ultragpu-1g",
        "location": "us-central1-a",
        "price": "5.1",
        "cpu": "12",
        "memory": "170",
        "count": "1",
        "gpu": "A100",
        "gpu_memory": "80",
        "spot": "False",
        "disk": "",
        "vendor": "nvidia",
        "flags": "",
        "arch": "x86",
        "data": "{}",
    }
    return ",".join((cells | changes).values())


def test_quotes_speak_the_tables_words(published):
    published(aws=[], gcp=[row(), row(spot="True", price="2.5")])
    fetched = fetch(["gcp"])
    assert {(q.accelerator, q.spot, q.price) for q in fetched.quotes} == {
        ("A100-80GB", False, 5.1),
        ("A100-80GB", True, 2.5),
    }
    assert fetched.source.startswith("gpuhunt ")


def test_machines_without_a_known_accelerator_are_passed_over(published):
    published(
        aws=[],
        gcp=[
            row(gpu="RTX9999"),
            row(gpu="", gpu_memory="", vendor="", count="0"),
            row(vendor="amd", gpu="MI300X"),
        ],
    )
    assert fetch(["gcp"]).quotes == ()


def test_a_cloud_that_nothing_came_of_is_named(published):
    published(aws=[], gcp=[row()])
    assert fetch(["gcp", "azure"]).missing == ("azure",)


def test_offline_is_one_clear_line(monkeypatch):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    monkeypatch.setenv("GPUHUNT_CATALOG_URL", f"http://127.0.0.1:{port}/v3")
    with pytest.raises(OutsideError, match=r"can't be reached .*The table stays as it is") as e:
        fetch(["gcp"])
    assert "\n" not in str(e.value)
    assert e.value.exit_code == 3
