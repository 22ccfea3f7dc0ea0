"""Webhooks: what happens is told to addresses that users name, signed, again and again until it has arrived."""
