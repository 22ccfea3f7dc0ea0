"""Aliases: names that point to a collection and can be switched to another."""
