"""What users write and what the parts exchange: service files, stack config, desired state, edge snapshots.

Knows nothing of the rooms above it and does no network I/O. Errors meant for users are in `spec.errors`.
"""
