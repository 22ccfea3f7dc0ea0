"""What a tenant keeps here, and how much it may."""
