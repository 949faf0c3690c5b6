"""The edge agent (`python -m lb edge`): keeps the files of one Envoy in step with the controller's snapshots.

It is beside the requests' way, never in it: Envoy goes on serving while the agent, the controller or both are gone.
The agent never starts or stops Envoy.
"""
