"""Settings of all tests."""

from hypothesis import settings

# A deadline per example measures the load of the machine, not the code; each test has pytest's own time limit. The same examples
# every time, so that a change fails by what it changes; `pytest --hypothesis-profile explore` looks for new ones.
settings.register_profile("tradewind", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("tradewind")
