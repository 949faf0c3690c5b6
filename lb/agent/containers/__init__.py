"""Bundles with an image: Docker brought to the machine, the image pulled, and `setup` and `run` in containers of it.

Each is a program beside the agent, under the guard. A container ends with its program, because it reads the program's
pipe: so no end of the agent leaves one behind, and no variable stands in an argument or in what Docker keeps on disk.
"""
