"""Copies: filling a new collection from another one while that is written to, and switching an alias to it."""
