"""Engines: presets of the real ones, and `engines.sim`, the look-alike of the local cloud."""
