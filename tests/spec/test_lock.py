"""The lock as a file: the same bytes for the same lock, a line each, and every damage told with the way out."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spec.clouds import CLOUDS
from spec.desired import PoolState
from spec.errors import SpecError
from spec.lock import Lock, LockedHost, LockedPool, dump, parts_of, read_lock
from spec.names import Market

ONE, TWO = "chat.aws.use1-az1.L4x1.spot", "chat.azure.eastus.A100-80GBx8.on_demand"
LOCK = Lock(
    schema=2,
    services={"chat": "services/chat.yaml"},
    hosts={
        "edge-azure-eastus-1": LockedHost(cloud="azure", region="eastus", instance_type="Standard_D2s_v5"),
        "controller": LockedHost(cloud="aws", region="us-east-1", zone="use1-az1", instance_type="t3.small"),
    },
    pools={
        TWO: LockedPool(instance_types=("Standard_ND96amsr_A100_v4",), state=PoolState.RETIRING),
        ONE: LockedPool(instance_types=("g6.xlarge", "g6.2xlarge"), usd_hour=0.25),
    },
)
TEXT = """\
# The pools and hosts of the environment `prod`: prices change, these do not. Written by: ./tw plan --stack prod --lock
schema: 2
services:
  chat: services/chat.yaml
hosts:
  controller: {cloud: aws, region: us-east-1, zone: use1-az1, instance_type: t3.small}
  edge-azure-eastus-1: {cloud: azure, region: eastus, instance_type: Standard_D2s_v5}
pools:
  chat.aws.use1-az1.L4x1.spot: {instance_types: [g6.xlarge, g6.2xlarge], usd_hour: 0.25}
  chat.azure.eastus.A100-80GBx8.on_demand: {instance_types: [Standard_ND96amsr_A100_v4], state: retiring}
"""
WAY_OUT = "git has the one before; without the file ./tw plan --stack prod --lock writes a new one."
NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff"), min_size=1, max_size=30
)


def read(folder, text):
    path = folder / "pools.prod.lock"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_lock(folder, "prod")


def refusal(folder, text):
    with pytest.raises(SpecError) as e:
        read(folder, text)
    assert str(e.value).startswith("pools.prod.lock")
    return str(e.value)


def test_a_lock_is_a_line_for_each_thing_in_the_order_of_their_names():
    assert dump(LOCK, "prod") == TEXT


def test_what_was_written_is_read_again(tmp_path):
    assert read(tmp_path, TEXT) == LOCK
    assert read(tmp_path, dump(Lock(schema=2), "prod")) == Lock(schema=2)
    assert read_lock(tmp_path, "staging") is None


@given(
    st.dictionaries(NAMES.filter(lambda n: n != "<<"), NAMES, max_size=3),
    st.dictionaries(
        st.builds(
            "{}.{}.{}.L4x{}.{}".format,
            st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True),
            st.sampled_from(CLOUDS),
            st.from_regex(r"[a-z0-9-]{1,9}", fullmatch=True),
            st.integers(1, 16),
            st.sampled_from(list(Market)),
        ),
        st.builds(LockedPool, instance_types=st.tuples(NAMES), state=st.sampled_from(PoolState)),
        max_size=3,
    ),
)
def test_every_lock_is_read_as_it_was_written_and_written_as_it_was_read(tmp_path_factory, files, pools):
    lock = Lock(schema=2, services=files, pools=pools)
    text = dump(lock, "prod")
    again = read(tmp_path_factory.mktemp("lock"), text)
    assert again == lock
    assert dump(again, "prod") == text


def test_an_id_tells_the_place_and_the_shape():
    found = parts_of(TWO)
    assert found == ("chat", "azure", "eastus", "A100-80GB", 8, Market.ON_DEMAND)
    for wrong in (
        "chat.azure.eastus.A100x8.sometimes",
        "chat",
        "chat.azure.east/us.A100x8.spot",
        "chat.azure.eastus.A100x08.spot",
        "chat.moon.eastus.A100x8.spot",
        "../chat.azure.eastus.A100x8.spot",
        "chat.azure.eastus.A100x8.spot\n",
    ):
        assert parts_of(wrong) is None, wrong


def test_a_lock_of_the_first_schema_lacks_hosts_and_services(tmp_path):
    found = read(tmp_path, f"schema: 1\npools:\n  {ONE}: {{instance_types: [x]}}\n")
    assert (found.hosts, found.files, list(found.pools)) == ({}, {}, [ONE])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "schema: 2\npools: {}\nschema: 2",
            ":3: schema: is given twice, here and in line 1. Remove one of them.",
        ),
        (
            f"schema: 2\npools:\n  {ONE}: {{instance_types: []}}",
            f":3: pools.{ONE}.instance_types: must not be empty, not a list.",
        ),
        (f"schema: 2\npools:\n  {ONE}: {{}}", f":3: pools.{ONE}.instance_types: is missing."),
        (f"schema: 2\npools:\n  {ONE}: {{instance_types: [x], usd_hour: -1}}", ":3: "),
        ("schema: 3", ":1: schema: is of a newer schema than 2, which is all that this version reads."),
        ("schema: 9\nnew: things", ":1: schema: is of a newer schema"),
        ("pools: {}", ":1: schema: is missing."),
        ("schema: 0", ":1: schema: must be at least 1"),
        ("pools: [", ":1: is not valid YAML: "),
        ("<<<<<<< HEAD\npools: {}", "pools.prod.lock"),
        ("", ": is empty."),
        ("# nothing\n", ": is empty."),
        ("null", ": is empty."),
        ("- a", ":1: must be a map of fields"),
        ("\x00", "is not a text file"),
        (b"\xff\xfe\x00", "is not a text file in UTF-8."),
        ("schema: !!python/object/apply:os.system [x]", "uses a YAML tag that has no meaning here."),
        ("schema: 2\npools: " + "[" * 60, "too deeply nested values for a lock"),
        ("schema: 2\npools: *nothing", "refers to nothing written before it."),
        ("# " + "x" * 2**20, "is larger than 1 MiB: too large for a lock."),
    ],
)
def test_a_damaged_lock_is_told_with_line_field_and_way_out(tmp_path, text, said):
    found = refusal(tmp_path, text)
    assert said in found
    assert WAY_OUT in found or "Remove one of them." in found


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (TEXT.replace("hosts:", "host:"), ":5: host: is not a known field. Did you mean `hosts`?"),
        (
            TEXT.replace("services:", "service:"),
            ":3: service: is not a known field. Did you mean `services`?",
        ),
        (
            TEXT.replace("usd_hour", "usd_hours"),
            f":9: pools.{ONE}.usd_hours: is not a known field. Did you mean `usd_hour`?",
        ),
        (
            TEXT.replace("zone: use", "zne: use"),
            ":6: hosts.controller.zne: is not a known field. Did you mean `zone`?",
        ),
        (
            TEXT.replace("state: retiring", "state: retireing"),
            (
                f":10: pools.{TWO}.state: must be one of `active` or `retiring`, "
                "not `retireing`. Did you mean `retiring`?"
            ),
        ),
        (
            TEXT.replace("cloud: aws", "cloud: awz"),
            (
                ":6: hosts.controller.cloud: must be one of `aws`, `gcp` or `azure`, not "
                "`awz`. Did you mean `aws`?"
            ),
        ),
        (
            TEXT.replace("on_demand:", "ondemand:"),
            (":10: pools.chat.azure.eastus.A100-80GBx8.ondemand: is no pool's id. Did you mean `on_demand`?"),
        ),
        (
            TEXT.replace("chat.azure", "chat.azur"),
            (":10: pools.chat.azur.eastus.A100-80GBx8.on_demand: is no pool's id. Did you mean `azure`?"),
        ),
        (
            TEXT.replace("A100-80GBx8", "A100-80GB"),
            "is no pool's id. An id is `service.cloud.zone.acceleratorxcount.market`",
        ),
    ],
)
def test_what_was_misspelt_by_hand_is_told_with_the_nearest_name(tmp_path, wrong, said):
    assert said in refusal(tmp_path, wrong)


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    wrong = TEXT.replace("usd_hour", "usd").replace("state: ", "stat: ").replace("cloud: aws", "cloud: x")
    assert len(refusal(tmp_path, wrong).splitlines()) == 3


def test_a_line_that_a_merge_doubled_is_told(tmp_path):
    line = TEXT.splitlines()[8]
    assert f":11: pools.{ONE}: is given twice, here and in line 9." in refusal(tmp_path, f"{TEXT}{line}\n")


def test_aliases_that_unfold_without_end_are_refused_at_once(tmp_path):
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    started = time.monotonic()
    assert "its aliases unfold to more values than a lock may hold." in refusal(tmp_path, bomb)
    assert time.monotonic() - started < 5


def test_a_folder_in_its_place_is_told(tmp_path):
    (tmp_path / "pools.prod.lock").mkdir()
    with pytest.raises(SpecError, match=r"pools\.prod\.lock: is a directory, not a lock\."):
        read_lock(tmp_path, "prod")


def test_a_lock_of_several_thousand_pools_is_read(tmp_path):
    pools = {f"chat.aws.use1-az{n}.L4x1.spot": LockedPool(instance_types=("g6.xlarge",)) for n in range(4000)}
    lock = Lock(schema=2, pools=pools)
    assert read(tmp_path, dump(lock, "prod")) == lock


def test_what_does_not_fit_later_is_told_with_its_line_too(tmp_path):
    lock = read(tmp_path, TEXT)
    fields = (f"pools.{TWO}", "hosts.controller.zone", "hosts", "schema", "new")
    assert [lock.line_of(f) for f in fields] == [10, 6, 5, 2, None]
    assert LOCK.line_of("hosts") is None
