"""Machinery every service uses; it knows no domain noun and imports no service."""
