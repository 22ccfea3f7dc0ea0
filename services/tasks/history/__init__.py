"""What happened to a task: its attempts, the lines of its log."""
