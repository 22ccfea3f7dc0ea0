"""What becomes of tasks that failed: they are replayed as new tasks, or discarded."""
