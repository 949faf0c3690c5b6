"""The network of one region: one module per cloud. Machines are reached on one port, by few addresses."""
