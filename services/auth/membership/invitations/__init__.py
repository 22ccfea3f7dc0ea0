"""How somebody comes to belong to a tenant: an offer by mail, and its acceptance."""
