"""Dumps of collections: a confined program reads and writes them (`inside`), which a worker asks through `program`."""
