"""Texts turned into vectors, in OpenAI's shape."""
