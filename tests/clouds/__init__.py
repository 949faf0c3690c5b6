"""Clouds on loopback, for hosts that boot here: they answer as the real ones do, and refuse what those would refuse."""
