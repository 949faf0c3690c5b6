"""What an edge's Envoy is told: its bootstrap, and the xDS files that follow each snapshot.

Rendering is pure: the stack program renders the bootstrap, the edge agent renders the files, and both get the same
bytes for the same input. Only `binary` looks at the computer.
"""
