"""The simulated engine: it answers like vLLM's OpenAI-compatible server and has no model behind it.

The local cloud, the end-to-end tests and the benchmarks run it where no GPU is. Load time, time to first token, time
per token, batch size and queue are flags, so that scaling and routing can be tried at a known speed.
"""
