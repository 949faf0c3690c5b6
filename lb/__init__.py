"""What the stack deploys: the controller, the edge agent and the node agent (`python -m lb controller|edge|node`)."""
