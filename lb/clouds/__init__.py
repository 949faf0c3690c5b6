"""Drivers: one module per cloud, all of the protocol in `lb.clouds.protocol`."""
