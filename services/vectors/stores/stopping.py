"""Ends ingestions before what they write is not wanted any more.

Tasks are told, with the rights of who asks. What an ingestion still does then finds its file no longer in progress, and
is refused by the fence: so nobody waits for its end.
"""

import logging
from collections.abc import Sequence
from typing import Final

from services.vectors.domain import Collection
from services.vectors.ports import Catalogue
from services.vectors.stores.domain import Attachment, AttachmentStatus, Outcome
from services.vectors.stores.errors import AttachmentUnderWay
from services.vectors.stores.ports import Ingestions
from services.vectors.together import each
from shared.errors import Relayed, ServiceError
from shared.identity import Caller

log = logging.getLogger("vectors.stores")
SUBMITS: Final = "tasks:write"
_NOT_FOUND: Final = 404


class Stopping:
    """Built once."""

    def __init__(self, catalogue: Catalogue, ingestions: Ingestions) -> None:
        self._catalogue, self._ingestions = catalogue, ingestions

    async def tell(self, caller: Caller, collection: Collection, attachments: Sequence[Attachment]) -> None:
        """Those that are in progress, to stop; whose task nobody knows is cancelled at once.

        Raises MissingScope, and AttachmentUnderWay for one that another submitted.
        """
        under_way = _in_progress(attachments)
        if not under_way:
            return
        caller.require(SUBMITS)
        await self._cancelled(collection, [one for one in under_way if one.task_id is None])
        await each(under_way, lambda one: self._told(caller, one))

    async def stop(self, caller: Caller, collection: Collection, attachments: Sequence[Attachment]) -> None:
        """The same, and they are in progress no more."""
        await self.tell(caller, collection, attachments)
        await self._cancelled(collection, _in_progress(attachments))

    async def tell_what_is_left(self, caller: Caller, attachments: Sequence[Attachment]) -> None:
        """Those of a store that is gone: where they cannot be told, they end at their next write."""
        if not caller.allows(SUBMITS):
            return
        try:
            await each(_in_progress(attachments), lambda one: self._is_told(caller, one))
        except ServiceError as error:
            log.warning("ingestions not told to stop", extra={"fields": {"cause": error.code}})

    async def _told(self, caller: Caller, attachment: Attachment) -> None:
        if not await self._is_told(caller, attachment):
            raise AttachmentUnderWay(attachment.file_id)

    async def _is_told(self, caller: Caller, attachment: Attachment) -> bool:
        """False for one that another submitted."""
        if attachment.task_id is None:
            return True
        try:
            await self._ingestions.cancel(caller, attachment.task_id)
        except Relayed as error:
            if error.status != _NOT_FOUND:
                raise
            return False
        return True

    async def _cancelled(self, collection: Collection, attachments: Sequence[Attachment]) -> None:
        if attachments:
            ended = [Outcome(one.file_id, one.version, None, AttachmentStatus.CANCELLED) for one in attachments]
            await self._catalogue.settle(collection, ended)


def _in_progress(attachments: Sequence[Attachment]) -> list[Attachment]:
    return [one for one in attachments if one.status is AttachmentStatus.IN_PROGRESS]
