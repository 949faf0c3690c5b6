"""The environment's bucket and secrets in one cloud: one module per cloud."""
