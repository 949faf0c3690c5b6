from hypothesis import given, settings
from hypothesis import strategies as st

from engines.sim.text import GREETING, answer, count_tokens, cut_at_stop


@settings(deadline=None)
@given(st.text(), st.integers(0, 300), st.integers())
def test_an_answer_has_exactly_the_tokens_that_were_asked_for(prompt, length, seed):
    tokens = answer(prompt, length=length, seed=seed)

    assert len(tokens) == length
    assert count_tokens("".join(tokens)) == length


def test_the_first_words_say_that_there_is_no_model():
    assert "".join(answer("hello", length=64)).startswith(GREETING)
    assert "no model" in GREETING
    assert "docs/engines.md" in GREETING


def test_the_same_prompt_gives_the_same_answer_and_another_choice_or_seed_another_one():
    first = answer("hello", length=100)

    assert answer("hello", length=100) == first
    assert answer("hello", length=100, choice=1) != first
    assert answer("hello", length=100, seed=1) != first
    assert answer("hullo", length=100) != first


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["a", " a", " b", ".", " ab"])),
    st.lists(st.sampled_from(["a b", "b.", "c", "ab"])),
)
def test_an_answer_ends_before_the_first_stop_string(tokens, stops):
    kept, stopped = cut_at_stop(tokens, stops)
    text = "".join(tokens)

    assert text.startswith("".join(kept))
    assert stopped == any(s in text for s in stops)
    assert len("".join(kept)) == min([text.find(s) for s in stops if s in text], default=len(text))


def test_an_empty_stop_string_stops_nothing():
    assert cut_at_stop(["a", " b"], [""]) == (["a", " b"], False)
