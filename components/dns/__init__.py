"""The name of an environment: one module per owner of names."""
