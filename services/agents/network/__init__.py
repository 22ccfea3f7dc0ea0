"""The surroundings of an agent: whom it is related to, and whom those are, to a depth and a size."""
