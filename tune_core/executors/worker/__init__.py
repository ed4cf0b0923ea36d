"""What runs in a worker process, whatever executor started it."""
