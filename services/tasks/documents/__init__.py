"""Documents: read into blocks by a program of its own, and cut into chunks.

What reads them (`readers`, `__main__`) runs in a process that may die, and imports the parsers; the worker asks it
through `process`, and cuts what it gets with `chunking`. Both know `blocks`, `bounds` and `failures`.
"""
