"""Access that ends before its time, and how every service hears of it."""
