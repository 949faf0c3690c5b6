"""The lock as a file: the same bytes for the same pools, one line each, and every damage told with the way out."""

import pytest

from spec.desired import PoolState
from spec.errors import SpecError
from spec.lock import Lock, LockedPool, dump, parts_of, read_lock
from spec.names import Market

ONE, TWO = "chat.aws.use1-az1.L4x1.spot", "chat.azure.eastus.A100-80GBx8.on_demand"
LOCK = Lock(
    schema=1,
    pools={
        TWO: LockedPool(instance_types=("Standard_ND96amsr_A100_v4",), state=PoolState.RETIRING),
        ONE: LockedPool(instance_types=("g6.xlarge", "g6.2xlarge"), usd_hour=0.25),
    },
)
TEXT = """\
# The pools of the environment `prod`: prices change, these do not. Written by: ./tw plan --stack prod --lock
schema: 1
pools:
  chat.aws.use1-az1.L4x1.spot: {instance_types: [g6.xlarge, g6.2xlarge], usd_hour: 0.25}
  chat.azure.eastus.A100-80GBx8.on_demand: {instance_types: [Standard_ND96amsr_A100_v4], state: retiring}
"""


def test_a_lock_is_a_line_for_each_pool_in_the_order_of_their_ids():
    assert dump(LOCK, "prod") == TEXT


def test_what_was_written_is_read_again(tmp_path):
    (tmp_path / "pools.prod.lock").write_text(TEXT)
    assert read_lock(tmp_path, "prod") == LOCK
    (tmp_path / "pools.prod.lock").write_text(dump(Lock(schema=1), "prod"))
    assert read_lock(tmp_path, "prod") == Lock(schema=1)
    assert read_lock(tmp_path, "staging") is None


def test_an_id_tells_the_place_and_the_shape():
    found = parts_of(TWO)
    assert found == ("chat", "azure", "eastus", "A100-80GB", 8, Market.ON_DEMAND)
    assert parts_of("chat.azure.eastus.A100x8.sometimes") is None
    assert parts_of("chat") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pools: {a: {instance_types: [x]}}\nschema: 1", "pools: has `a`, which is no pool's id."),
        (
            f"pools: {{{ONE}: {{instance_types: []}}}}\nschema: 1",
            f"pools.{ONE}.instance_types: must not be empty.",
        ),
        (f"pools: {{{ONE}: {{}}}}\nschema: 1", f"pools.{ONE}.instance_types: is missing."),
        (
            f"pools: {{{ONE}: {{instance_types: [x], state: gone}}}}\nschema: 1",
            f"pools.{ONE}.state: must be one of `active` or `retiring`.",
        ),
        (
            "pools: {}\nschema: 2",
            "schema: is of a newer schema than 1, which is all that this version reads.",
        ),
        ("pools: {}", "schema: is missing."),
        ("pools: [", ":1: is not valid YAML: "),
        ("<<<<<<< HEAD\npools: {}", "pools.prod.lock"),
        ("\x00", "can't be read: "),
    ],
)
def test_a_damaged_lock_is_told_with_the_way_out(tmp_path, text, said):
    (tmp_path / "pools.prod.lock").write_text(text)
    with pytest.raises(SpecError) as e:
        read_lock(tmp_path, "prod")
    assert said in str(e.value)
    assert str(e.value).startswith("pools.prod.lock")
    assert "git has the one before; without the file ./tw plan --stack prod --lock writes a new one." in str(
        e.value
    )
