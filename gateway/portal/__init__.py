"""The stateless process at the edge: the health of the whole system, its documents and their pages."""
