"""What is: the desired state, the clouds, the replicas. Nothing in here changes anything."""
