"""Getting what the project needs onto a machine: the virtual environment and the Pulumi CLI. Standard library only."""
