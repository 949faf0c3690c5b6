"""The policy pack: what the stack must not become, judged on the resources of each preview."""
