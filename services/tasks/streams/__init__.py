"""What happens to tasks, told as it happens: of one task, or of all that the caller may see."""
