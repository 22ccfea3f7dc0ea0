"""What changed about access, as auth's own database says (`shared.identity.feed.ChangesSource`)."""

import time
from datetime import UTC, datetime

from services.auth.trust.access.repository import RevocationRepository
from services.auth.trust.access.revoker import as_revocation
from services.auth.trust.signing.repository import SigningKeyRepository
from services.auth.trust.signing.ring import KeyRing
from shared.identity import Changes
from shared.postgres import Database


class AccessChanges:
    def __init__(self, database: Database, keys: KeyRing) -> None:
        self._database, self._keys = database, keys

    async def changes(self, since: float) -> Changes:
        as_of = time.time()
        async with self._database.session() as session:
            rows = await RevocationRepository(session).list_since(datetime.fromtimestamp(since, UTC))
            key_ids = await SigningKeyRepository(session).list_published_ids()
        await self._keys.learn(key_ids)  # whoever is told of a key will look for it here
        return Changes(as_of, [as_revocation(row) for row in rows], key_ids)
