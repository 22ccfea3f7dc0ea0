"""People and their own accounts."""
