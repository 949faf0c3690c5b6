"""Policies against simulated clouds: capacity traces replayed, published baselines, what each one costs and serves.

Nothing in here waits, draws on a clock or touches a network: 45 days pass in seconds, and the same seed gives the same run.
"""
