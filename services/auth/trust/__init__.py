"""What everything else stands on: the keys that sign, access that ends, the audit log, and the work that binds them."""
