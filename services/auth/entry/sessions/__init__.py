"""Sessions and the chain of refresh tokens that keeps one alive."""
