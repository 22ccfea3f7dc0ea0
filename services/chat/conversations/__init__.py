"""Conversations: listed, read, renamed and deleted by their owner."""
