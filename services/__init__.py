"""The five domain services; none imports another."""
