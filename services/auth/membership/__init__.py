"""Who belongs to a tenant, and how others come to."""
