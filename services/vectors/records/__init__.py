"""Records: storing, reading and deleting them."""
