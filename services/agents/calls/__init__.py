"""Calls of tools that the tenant defined, made here for chat: what they hold secret does not leave this service."""
