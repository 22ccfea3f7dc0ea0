"""Background work: accepted durably, done at least once, followed to its result."""
