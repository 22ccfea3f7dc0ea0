"""Records: storing, searching, reading and deleting them."""
