"""The history of an agent: what it was at each version, what changed, and the way back."""
