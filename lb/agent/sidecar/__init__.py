"""The replica's own Envoy: the one open port of a machine in a cloud, in front of the engine and of the agent.

Callers show a certificate of the environment, so that the engine may listen without any protection of its own, on
whatever port it likes, behind a firewall.
"""
