"""The long-running process: it holds the lease, turns the loop and answers HTTP."""
