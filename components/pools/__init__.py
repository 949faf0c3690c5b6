"""Pools of capacity: one module per cloud."""
