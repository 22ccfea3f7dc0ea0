"""The token endpoint, and what becomes of tokens that were given out."""
