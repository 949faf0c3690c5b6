"""Carrying out what was decided: the only place that waits for a cloud to change something."""
