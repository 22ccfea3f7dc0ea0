"""What changed about access, as auth's own database says (`shared.revocations.ChangesSource`)."""

import time
from datetime import UTC, datetime

from services.auth.access.repository import RevocationRepository
from services.auth.access.revoker import as_revocation
from services.auth.signing.repository import SigningKeyRepository
from shared.db import Database
from shared.revocations import Changes


class AccessChanges:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def changes(self, since: float) -> Changes:
        as_of = time.time()
        async with self._database.session() as session:
            rows = await RevocationRepository(session).list_since(datetime.fromtimestamp(since, UTC))
            key_ids = await SigningKeyRepository(session).list_published_ids()
        return Changes(as_of, [as_revocation(row) for row in rows], key_ids)
