"""Opens what the storeys above stand on: the keys that sign, what was revoked, and the work that tells of both."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from services.auth.models import OutboxRow
from services.auth.settings import Settings
from services.auth.trust.audit.log import AuditLog
from services.auth.trust.changes.service import AccessChanges
from services.auth.trust.signing.ring import KeyRing
from services.auth.trust.work import Works
from shared.identity import RevocationFeed, followed
from shared.loops import in_background
from shared.messages import OUTBOX_REMEDY, RABBITMQ_REMEDY, Publisher, declare_events, open_connection, open_probe
from shared.postgres import Database, Outbox, OutboxRelay


@dataclass(frozen=True, slots=True)
class OpenTrust:
    """What is running."""

    keys: KeyRing
    changes: AccessChanges
    feed: RevocationFeed
    works: Works


@asynccontextmanager
async def open_trust(app: FastAPI, database: Database) -> AsyncIterator[OpenTrust]:
    settings: Settings = app.state.settings
    rabbitmq_url = settings.rabbitmq_url.get_secret_value()
    keys = await KeyRing(database, settings.key_encryption_key.get_secret_value()).load()
    changes = AccessChanges(database, keys)
    feed = RevocationFeed(changes, keys)
    async with (
        followed(feed, rabbitmq_url=rabbitmq_url, listener="auth"),
        _published(app, database, rabbitmq_url) as outbox,
    ):
        works = Works(database, AuditLog(settings.audit_key.get_secret_value()), outbox, feed.revocations)
        yield OpenTrust(keys, changes, feed, works)


@asynccontextmanager
async def _published(app: FastAPI, database: Database, rabbitmq_url: str) -> AsyncIterator[Outbox]:
    """Events are written with the change they tell of, and published by this process or another."""
    async with open_connection(rabbitmq_url, "auth publisher") as broker, open_probe(broker) as probe:
        # Soft: without it revocations are heard of by asking.
        app.state.health.add("rabbitmq", probe.check, hard=False, remedy=RABBITMQ_REMEDY)
        outbox = Outbox(OutboxRow)
        app.state.health.add("outbox", lambda: outbox.check(database), hard=False, remedy=OUTBOX_REMEDY)
        relay = OutboxRelay(database, outbox, Publisher(broker, declare_events))
        async with in_background(relay.run()):
            yield outbox
