"""Runs: one turn each, executed by the service and not by the request that asked for it."""
