"""PostgreSQL under SQLAlchemy 2 async, with an outbox for what must be told with a change, and its idempotency key."""

from shared.postgres.database import Database, is_deadlock
from shared.postgres.indexes import build_index, remove_index
from shared.postgres.keys import EffectKey, IdempotencyKeyRecord, IdempotencyKeys
from shared.postgres.keys_table import create_keys_table
from shared.postgres.migrating import run_migrations
from shared.postgres.opening import open_database
from shared.postgres.outbox import Outbox, OutboxMessage
from shared.postgres.outbox_table import create_outbox_table
from shared.postgres.probe_table import create_probe_table
from shared.postgres.probing import DatabaseProbe, ProbeRecord
from shared.postgres.relay import OutboxRelay
from shared.postgres.tables import Base, new_metadata

__all__ = [
    "Base",
    "Database",
    "DatabaseProbe",
    "EffectKey",
    "IdempotencyKeyRecord",
    "IdempotencyKeys",
    "Outbox",
    "OutboxMessage",
    "OutboxRelay",
    "ProbeRecord",
    "build_index",
    "create_keys_table",
    "create_outbox_table",
    "create_probe_table",
    "is_deadlock",
    "new_metadata",
    "open_database",
    "remove_index",
    "run_migrations",
]
