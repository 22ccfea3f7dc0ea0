"""Changing the password of one's own account."""
