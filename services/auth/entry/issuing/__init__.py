"""Access tokens: made, paired, and how they look between services."""
