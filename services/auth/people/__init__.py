"""Who there is: accounts, the tenants they belong to, and their passwords."""
