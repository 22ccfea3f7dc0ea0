"""What changed about access, as every service follows it."""
