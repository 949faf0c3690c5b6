"""Which places can hold a service, what they cost, and which are chosen. Pure: same inputs, same bytes."""
