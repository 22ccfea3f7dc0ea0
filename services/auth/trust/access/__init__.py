"""Access that ends before its time."""
