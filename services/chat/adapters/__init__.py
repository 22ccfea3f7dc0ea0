"""One file for each system outside."""
