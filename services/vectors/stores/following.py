"""What is written down of a file's ingestion follows what its task became: whoever looks, brings it up to date.

Tasks keep the truth of what goes on, and the catalogue that of what has ended: an end is final on either side, so it is
written down once and asked for no more. Nothing is told from one to the other, so nothing told can be lost. Where tasks
are away, what was known last is answered.
"""

import logging
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from services.vectors.domain import READ, Collection
from services.vectors.ports import Catalogue
from services.vectors.stores.domain import (
    UNSUBMITTED_SECONDS,
    Attachment,
    AttachmentStatus,
    Failure,
    Outcome,
    Span,
)
from services.vectors.stores.ports import Ingestions
from shared.errors import ServiceError, StorageFull
from shared.identity import Caller

log = logging.getLogger("vectors.stores")
_SERVER_ERROR, _TOO_MANY = 500, 429
AT_ONCE: Final = 500
"""As many as tasks are asked about in one call."""
_NOT_SUBMITTED: Final = Failure(
    "vectors.not_submitted", "The request that attached the file broke off before it was handed over: attach it again."
)


class Following:
    """Built once."""

    def __init__(self, catalogue: Catalogue, ingestions: Ingestions) -> None:
        self._catalogue, self._ingestions = catalogue, ingestions

    async def brought_up_to_date(
        self, caller: Caller, collection: Collection, attachments: Sequence[Attachment], *, to_read: bool = False
    ) -> list[Attachment]:
        """Them as they are now; `to_read` also where no disk has room to write that down: whoever looks next may."""
        outcomes = await self._outcomes(caller, collection, attachments)
        if outcomes:
            with suppress(StorageFull) if to_read else nullcontext():
                await self._catalogue.settle(collection, outcomes)
        known = {(one.file_id, one.version): one for one in outcomes}
        return [_with(one, known.get((one.file_id, one.version))) for one in attachments]

    async def look(self, caller: Caller, collection: Collection) -> None:
        """Bring those of the store that are under way up to date, the oldest first and so many at once."""
        span = Span(AT_ONCE, newest_first=False)
        under_way = await self._catalogue.list_attachments(
            collection, span, status=AttachmentStatus.IN_PROGRESS, batch_id=None
        )
        await self.brought_up_to_date(caller, collection, under_way or [], to_read=True)

    async def _outcomes(
        self, caller: Caller, collection: Collection, attachments: Sequence[Attachment]
    ) -> list[Outcome]:
        under_way = [one for one in attachments if one.status is AttachmentStatus.IN_PROGRESS]
        submitted = [one for one in under_way if one.task_id is not None]
        return [
            *_never_submitted(under_way),
            *(await self._told(caller, collection, submitted) if submitted else []),
        ]

    async def _told(self, caller: Caller, collection: Collection, attachments: Sequence[Attachment]) -> list[Outcome]:
        if not caller.allows(READ, collection.name):  # may write, and is told no more than what is known
            return []
        try:
            return await self._ingestions.outcomes(caller, collection.name, attachments)
        except ServiceError as error:
            if error.status < _SERVER_ERROR and error.status != _TOO_MANY:
                raise
            log.warning("outcomes not known", extra={"fields": {"cause": error.code, "collection": collection.id}})
            return []


def _never_submitted(attachments: Sequence[Attachment]) -> list[Outcome]:
    by = datetime.now(UTC) - timedelta(seconds=UNSUBMITTED_SECONDS)
    return [
        Outcome(one.file_id, one.version, None, AttachmentStatus.FAILED, _NOT_SUBMITTED)
        for one in attachments
        if one.task_id is None and one.created_at < by
    ]


def _with(attachment: Attachment, outcome: Outcome | None) -> Attachment:
    if outcome is None:
        return attachment
    return replace(attachment, status=outcome.status, failure=outcome.failure)
