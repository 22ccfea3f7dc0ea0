"""What vector stores need of the world outside: their rows in the catalogue, and the tasks that ingest their files."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from services.vectors.domain import Collection
from services.vectors.stores.domain import (
    Attached,
    Attachment,
    AttachmentStatus,
    Batch,
    ChangeRefused,
    Expired,
    Expiry,
    FenceMark,
    Outcome,
    Span,
    Store,
)
from shared.identity import Caller


class Stores(Protocol):
    """Of the catalogue. What belongs to a collection goes with it; of one that is gone nothing is found or kept."""

    async def describe(
        self,
        collection: Collection,
        *,
        title: str | None,
        description: str | None,
        metadata: Mapping[str, Any] | None,
        expiry: Expiry | None,
    ) -> bool:
        """Keep what is told of it, all at once; what is None stays as it was. False where it is gone."""

    async def touch(self, collection: Collection, at: datetime) -> bool:
        """It is used at that time. False, and nothing changed, where it had expired by then."""

    async def list_expired(self, at: datetime, *, seen: datetime, limit: int) -> list[Expired]:
        """Of all tenants, those that were seen here to have expired by the time `seen`, the earliest first.

        None that an alias points to. Those that have expired by the time `at` are seen to have.
        """

    async def retire_expired(self, collection: Collection, seen: datetime) -> bool:
        """Its status is `deleting` then. False, and nothing changed, where it is none of those listed any more."""

    async def find_store(self, tenant_id: str, name: str) -> Store | None:
        """The tenant's collection of that name, or the one that an alias of that name points to."""

    async def list_stores(self, tenant_id: str, span: Span) -> list[Store] | None:
        """By age, but for those that are being deleted; None where `span` begins at what is not in the list."""

    async def attach(
        self, collection: Collection, attachments: Sequence[Attachment], *, most: int, seconds: float
    ) -> Attached:
        """Keep them, in place of those of the same files; all or none.

        One that is in progress just so stays, and only is of the batch of the later; one whose task nobody knows, and
        nobody has been submitting for up to `seconds`, gives way. Refused where there would be more than `most`, and
        where one is in progress otherwise, written to or changed.
        """

    async def begin_write(self, collection: Collection, mark: FenceMark, *, claim: str, seconds: float) -> bool:
        """Let an ingestion write as `mark`, until `release` of `claim` or for `seconds`; several may at once.

        False where the file is not in progress as that version.
        """

    async def begin_change(
        self, collection: Collection, mark: FenceMark, *, claim: str, seconds: float
    ) -> ChangeRefused | None:
        """Let one change what is attached, and nobody write to it or attach it, likewise. Again with `claim`: longer.

        Refused where the file is not attached as that version, is in progress, written to, or changed by another.
        """

    async def release(self, collection: Collection, claims: Sequence[str]) -> None:
        """What was begun with `claims` has ended; a submission goes by the version that is submitted."""

    async def find_attachments(self, collection: Collection, file_ids: Sequence[str]) -> list[Attachment]:
        """Those of `file_ids` that are attached, in no order."""

    async def list_attachments(
        self, collection: Collection, span: Span, *, status: AttachmentStatus | None, batch_id: str | None
    ) -> list[Attachment] | None:
        """By age; None where `span` begins at a file that is not attached."""

    async def find_batch(self, collection: Collection, batch_id: str) -> Batch | None:
        """None where no file of it is attached."""

    async def settle(self, collection: Collection, outcomes: Sequence[Outcome]) -> None:
        """Of files that are in progress, and attached as they were: what became of them."""

    async def set_attributes(self, collection: Collection, mark: FenceMark, attributes: Mapping[str, Any]) -> bool:
        """False, and nothing changed, where the file is not attached as that version any more."""

    async def detach(self, collection: Collection, mark: FenceMark) -> bool:
        """The same. With it goes the change that it is."""

    async def list_attached(self, tenant_id: str, file_id: str) -> list[str]:
        """The names of the tenant's collections that the file is attached to."""


class Ingestions(Protocol):
    """The tasks that ingest. Every method acts with the caller's rights and raises as `ServiceClient.call`."""

    async def submit(self, caller: Caller, name: str, attachments: Sequence[Attachment], key: str) -> list[Outcome]:
        """Hand over one task for each, into the collection `name`; once under a `key`, however often it is asked.

        One that tasks refuse has failed; of one that they could not take now nothing is said.
        """

    async def outcomes(self, caller: Caller, name: str, attachments: Sequence[Attachment]) -> list[Outcome]:
        """Of those whose task has ended, whoever submitted it; one that tasks do not know has failed."""

    async def cancel(self, caller: Caller, task_id: str) -> None:
        """Have it stop, which takes a moment; nothing happens to one that has ended.

        Raises Relayed (404) for one that the caller may not cancel.
        """
