"""Calls from one service to another."""

from shared.calls.budget import RetryBudget
from shared.calls.client import ServiceClient
from shared.calls.pieces import in_pieces
from shared.calls.pool import http_pool_use, open_http_client

__all__ = [
    "RetryBudget",
    "ServiceClient",
    "http_pool_use",
    "in_pieces",
    "open_http_client",
]
