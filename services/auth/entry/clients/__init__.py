"""Services and programs that prove themselves."""
