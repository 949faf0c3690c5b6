"""`make demo`: an hour of a service's life in five minutes, with everything that goes wrong in it, and what it came to."""
