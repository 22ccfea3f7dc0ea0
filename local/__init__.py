"""Runs the whole suite on one machine without containers, with real stores started from packages."""
