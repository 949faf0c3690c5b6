"""The tiny model: the same files everywhere, a tokenizer that takes any text, and a chat template."""

import json
import subprocess
import sys

import pytest

from engines.tiny import bpe, model


def test_the_folder_holds_what_an_engine_reads_and_nothing_depends_on_the_run(tmp_path):
    for name in ("a", "b"):
        done = subprocess.run([sys.executable, "-m", "engines.tiny", tmp_path / name], check=False)
        assert done.returncode == 0
    names = {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}
    assert {p.name for p in (tmp_path / "a").iterdir()} == names
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    command = [sys.executable, "-m", "engines.tiny", tmp_path / "file" / "x"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "Not a directory" in done.stderr


@pytest.mark.parametrize("args", [(), ("a", "b"), ("--help",)])
def test_a_wrong_command_line_says_how_it_is_used(args):
    command = [sys.executable, "-m", "engines.tiny", *args]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "usage: python -m engines.tiny DIR\n")


def test_ids_are_dense_and_the_config_counts_them():
    files = model.files()
    vocabulary = files["tokenizer.json"]["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(len(vocabulary)))
    config = files["config.json"]
    assert config["vocab_size"] == len(vocabulary)
    assert config["hidden_size"] == config["num_attention_heads"] * config["head_dim"]
    for token in files["tokenizer.json"]["added_tokens"]:
        assert vocabulary[token["content"]] == token["id"]
    assert files["generation_config.json"]["eos_token_id"] == vocabulary["<|end|>"]


def test_every_merge_joins_two_tokens_of_the_vocabulary_to_a_third():
    tokenizer = model.files()["tokenizer.json"]["model"]
    for left, right in tokenizer["merges"]:
        assert {left, right, left + right} <= tokenizer["vocab"].keys()


def test_merges_begin_with_the_most_frequent_pair_and_end_with_whole_words():
    vocabulary, merges = bpe.learn("low low lower")
    assert merges[0] == ("l", "o")
    assert {"low", "Ġlow", "Ġlower"} <= set(vocabulary)
    assert len(vocabulary) == len(set(vocabulary))


def test_a_pair_that_overlaps_itself_is_merged_from_the_left():
    assert bpe.merge(("a", "a", "a"), ("a", "a")) == ("aa", "a")


def test_a_text_outside_of_ascii_is_refused():
    with pytest.raises(ValueError, match="only ASCII"):
        bpe.learn("Zürich")


def test_files_are_json(tmp_path):
    model.write(tmp_path)
    for path in tmp_path.iterdir():
        assert json.loads(path.read_text())
