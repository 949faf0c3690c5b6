"""What benchmarks and the demo look at a running stack with, from outside: its edge, its processes, its metrics."""
