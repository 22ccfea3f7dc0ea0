"""What the administrator of the installation does."""
