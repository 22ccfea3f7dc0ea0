"""What kinds of task there are: each an input model and a handler."""
