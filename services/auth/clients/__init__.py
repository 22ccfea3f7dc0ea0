"""Services and programs that log in as themselves."""
