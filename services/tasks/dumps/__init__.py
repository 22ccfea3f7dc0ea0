"""Dumps of collections: a program of its own reads and writes them, which may die of a file without its worker."""
