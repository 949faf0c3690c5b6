"""The `tw` command: thin front ends of the rooms below."""
