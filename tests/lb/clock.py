"""A clock that stands still until a test moves it."""


class FakeClock:
    def __init__(self, now=1_800_000_000.0):
        self.wall = now
        self.steady = 1000.0

    def now(self):
        return self.wall

    def monotonic(self):
        return self.steady

    def pass_(self, seconds):
        """Time goes by: both clocks go on."""
        self.wall += seconds
        self.steady += seconds

    def set(self, wall):
        """Somebody sets the clock: only what people read changes."""
        self.wall = wall
