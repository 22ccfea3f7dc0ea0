"""Tools that a tenant defines for its agents, and their calls: what they hold secret does not leave this service."""
