"""What owners of accounts are told by mail."""
