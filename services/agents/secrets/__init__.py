"""Credentials that a tenant's tools need: written, listed by name, never read back."""
