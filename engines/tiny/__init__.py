"""A language model of a few layers with random weights: what a real engine needs to run where no model can be had.

Configuration, tokenizer and chat template are real; the weights are made up by the engine (`--load-format dummy`), so
what it says is gibberish. `python -m engines.tiny DIR` writes it.
"""
