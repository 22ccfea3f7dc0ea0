"""Documents: read into blocks by a confined program, and cut into chunks.

What reads them (`readers`, `inside`) runs where it may die, and imports the parsers; the worker asks it through
`process`, and cuts what it gets with `chunking`. Both know `blocks`, `bounds` and `failures`.
"""
