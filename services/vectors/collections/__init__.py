"""Collections: making, finding, listing and deleting them."""
