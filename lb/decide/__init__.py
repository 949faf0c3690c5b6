"""What to do: pure functions of (desired, observed, memory, now). No input or output, no clock, no network."""
