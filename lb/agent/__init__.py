"""The node agent: runs on each machine the bundle that its pool's assignment names.

Standard library only, and nothing of ours from outside this folder: it must start on a bare machine image.
"""
