"""The whole program, as a user meets it."""
