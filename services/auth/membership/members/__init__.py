"""The members of a tenant: read, changed, removed."""
