"""An environment on this computer: the same parts as in the clouds, each of them a process or a file."""
