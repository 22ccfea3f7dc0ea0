"""Searching collections: by vectors, by keywords, by both; one search, or many at once."""
