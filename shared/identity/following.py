"""Keeps what auth revokes known, by asking now and then and by its events at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.identity.feed import RevocationFeed
from shared.loops import in_background
from shared.messages import heard

ACCESS_EVENTS = ("access.revoked.v1", "signing_key.published.v1")
"""What auth tells when a token, session, key or user lost its access, and when a key is about to sign."""


@asynccontextmanager
async def followed(feed: RevocationFeed, *, rabbitmq_url: str, listener: str) -> AsyncIterator[None]:
    """Keep `feed` up to date while the block runs. `listener` names this service to the broker."""
    async with in_background(feed.run()), heard(rabbitmq_url, listener, ACCESS_EVENTS, feed.wake):
        yield
