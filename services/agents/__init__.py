"""Agents: what they are told, what they can do and what they know, kept as a graph."""
