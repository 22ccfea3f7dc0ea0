"""What is on record about who belongs to a tenant."""
