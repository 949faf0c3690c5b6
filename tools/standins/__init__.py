"""Stand-ins for the provider plugins of Pulumi's engine: previews and life cycles without credentials or a network.

They speak the real provider protocol, refuse what the installed SDKs' argument types or a cloud's own rules refuse,
and keep "live" objects in a folder, so that a test can resize a group behind Pulumi's back and see what an update
sends. They know nothing of this product's code: their tables have sources of their own. What they can't know stands
in docs/previews.md.
"""
