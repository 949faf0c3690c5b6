import pytest

from catalog.accelerators import KINDS, UnknownAccelerator, kind_of, resolve


@pytest.mark.parametrize(
    ("spelled", "name"),
    [
        ("A10g", "A10G"),
        ("a100", "A100"),
        ("A100-40GB", "A100"),
        ("a100-80gb", "A100-80GB"),
        ("A100-80G", "A100-80GB"),
        ("A100_80GB", "A100-80GB"),
        ("nvidia-a100-80gb", "A100-80GB"),
        ("H100-80GB", "H100"),
        ("h200", "H200"),
        ("Tesla T4", "T4"),
        ("l40s", "L40S"),
        ("V100-32GB", "V100-32GB"),
        ("inf2", "Inferentia2"),
        ("Inferentia2", "Inferentia2"),
        ("trainium", "Trainium"),
        ("tpu-v5e", "TPU-v5e"),
        ("tpu-v5litepod", "TPU-v5e"),
        ("TPU-V6E", "TPU-v6e"),
    ],
)
def test_an_accelerator_has_one_name_however_it_is_spelled(spelled, name):
    assert kind_of(spelled).name == name


def test_every_canonical_name_is_its_own_alias_in_any_case():
    for kind in KINDS:
        assert kind_of(kind.name) is kind
        assert kind_of(kind.name.lower()) is kind


def test_an_unknown_name_offers_the_nearest_one():
    with pytest.raises(UnknownAccelerator, match=r"nobody has an accelerator `A100-80BG`.*`A100-80GB`"):
        kind_of("A100-80BG")


def test_an_unknown_name_that_is_like_none_lists_the_known_ones():
    with pytest.raises(UnknownAccelerator, match=r"Known: .*A10G.*"):
        kind_of("zzz")


def test_a_tpu_slice_is_its_number_of_chips():
    assert resolve("tpu-v5e-8", 1) == ("TPU-v5e", 8)
    assert resolve("tpu-v6e-4", 2) == ("TPU-v6e", 8)
    assert resolve("L4", 8) == ("L4", 8)


def test_gddr_cards_show_less_memory_than_is_printed_on_them():
    assert kind_of("L4").usable_gib == 22.5
    assert kind_of("A100-80GB").usable_gib == 80
