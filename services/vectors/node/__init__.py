"""The node: the one process that owns the data directory, when vectors itself has several replicas."""
