"""How many letters an address is sent: our mail must not flood a mailbox, whoever asks for it and from wherever.

Counted in PostgreSQL, over all replicas, by the kind of letter: what strangers ask for does not use up what owners are
told. Of what strangers may ask for, one source has a share, so that it takes more than one of them to use it up.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import delete, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import LetterCount
from shared.words import Word

WINDOW: Final = timedelta(hours=1)


class Kind(Word):
    """What letters are counted by."""

    PROOF = "proof"
    PASSWORD = "password"  # noqa: S105 - what it is about
    NOTICE = "notice"


ASKED_FOR: Final = 6
"""Letters of a kind that strangers ask for, to one address within an hour."""
ASKED_FOR_BY_ONE: Final = 3
"""Of those, from one source."""
NOTICES: Final = 20
_MOST = {Kind.PROOF: ASKED_FOR, Kind.PASSWORD: ASKED_FOR, Kind.NOTICE: NOTICES}

_TAKE = text("""
    INSERT INTO letter_count AS counted (key, letters, began_at)
    VALUES (CAST(:key AS bytea), 1, CAST(:at AS timestamptz))
    ON CONFLICT (key) DO UPDATE SET
        letters = CASE WHEN counted.began_at <= :since THEN 1 ELSE counted.letters + 1 END,
        began_at = CASE WHEN counted.began_at <= :since THEN :at ELSE counted.began_at END
    WHERE counted.began_at <= CAST(:since AS timestamptz) OR counted.letters < CAST(:most AS integer)
    RETURNING letters
""")


class Allowance:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def take(self, kind: Kind, email: str, source: str | None = None) -> bool:
        """Count one letter, asked for from `source`; whether it may be sent.

        The source first: what it is refused is not taken from the others.
        """
        if source and not await self._take([kind, email, source], ASKED_FOR_BY_ONE):
            return False
        return await self._take([kind, email], _MOST[kind])

    async def _take(self, counted: list[str], most: int) -> bool:
        key, at = hashlib.sha256("\0".join(counted).encode()).digest(), datetime.now(UTC)
        values = {"key": key, "at": at, "since": at - WINDOW, "most": most}
        return await self._session.scalar(_TAKE, values) is not None

    async def delete_old(self) -> None:
        """Forget what counts no more."""
        await self._session.execute(delete(LetterCount).where(LetterCount.began_at <= datetime.now(UTC) - WINDOW))
