"""Settings of all tests."""

from hypothesis import settings

# A deadline per example measures the load of the machine, not the code; each test has pytest's own time limit.
settings.register_profile("tradewind", deadline=None)
settings.load_profile("tradewind")
