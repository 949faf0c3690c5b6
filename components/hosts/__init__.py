"""Controller and edge hosts, their static addresses, and the balancers before them: one module per cloud."""
