"""Logging in with a password, and what holds off guessing."""
