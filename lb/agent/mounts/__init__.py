"""What a bundle wants of buckets on its machine: copied before its engine starts, or mounted while it runs.

Both are programs of their own that a step starts (`lb.agent.steps`), so they can take hours, are watched, and end with
what they are for. They get a plan as a file, and tell how far they are by another one.
"""
