"""Logging in with a password."""
