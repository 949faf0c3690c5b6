"""What a machine asks its own cloud: who it is, its objects and secrets, and whether it will be taken away.

One module per cloud, all with the same class `Cloud`. They know the clouds' HTTP interfaces themselves, because nothing
but Python's standard library is on a machine before its engine is. Base addresses can be set by the environment
variables that the clouds' own tools know, which no machine has; tests use them.
"""
