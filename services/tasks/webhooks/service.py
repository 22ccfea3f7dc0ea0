"""The use cases of webhooks: make, read, change, rotate, delete."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from services.tasks.errors import KindUnknown, WebhookOfAnother, WebhookUrlRefused
from services.tasks.events import Done, tell
from services.tasks.kinds.registry import KindRegistry
from services.tasks.rows import authority_of, require_scopes
from services.tasks.visibility import submitter_of
from services.tasks.webhooks.domain import LONGEST_URL, Covers, scopes_of
from services.tasks.webhooks.models import Webhook
from services.tasks.webhooks.repository import WebhookRepository
from services.tasks.webhooks.schemas import WebhookCreate, WebhookUpdate
from services.tasks.webhooks.secrets import rotated
from services.tasks.webhooks.sending import place_of
from services.tasks.webhooks.signing import new_secret
from shared.errors import Invalid
from shared.hosts import is_address
from shared.identity import Caller, deed
from shared.outbound import Allowed, RequestRefused, require_url
from shared.postgres import Database, Outbox
from shared.resources import CursorCodec, Slice, etag, require_match
from shared.schemas import new_id
from shared.sealing import Seal

_ENABLED: Final = {
    "is_enabled": True,
    "error_code": None,
    "error_detail": None,
    "disabled_at": None,
    "failing_since": None,
    "held_until": None,
}


_AT_ONCE: Final = 2000  # deliveries that one transaction gives up


class Made(NamedTuple):
    """A webhook and its new secret, which is nowhere else but sealed."""

    webhook: Webhook
    secret: str


class WebhookService:
    """What a user may do with their own webhooks, and with `tasks:tenant` with those of the tenant.

    Whoever makes one or changes it as its maker lends it the credential they come with: its deliveries end with that.
    Every method may raise Unavailable.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        kinds: KindRegistry,
        cursors: CursorCodec,
        seal: Seal,
        allowed: Allowed,
    ) -> None:
        self._database, self._outbox, self._kinds = database, outbox, kinds
        self._cursors, self._seal, self._allowed = cursors, seal, allowed

    async def create(self, caller: Caller, body: WebhookCreate) -> Made:
        """Raises WebhookUrlRefused, KindUnknown, MissingScope, WebhookExists, TooManyWebhooks."""
        webhook_id, secret = new_id(), new_secret()
        events = _as_set(body.events)
        row = {
            **dict.fromkeys(Webhook.__table__.columns.keys()),
            **body.model_dump(),
            **_lent_by(caller, events, body.covers),
            "id": webhook_id,
            "url": self._required_url(body.url),
            "events": events,
            "kinds": _told_of(events, self._known(body.kinds), "/kinds"),
            "secret": self._seal.close(caller.tenant_id, place_of(webhook_id), secret),
            "older_secrets": [],
            "is_enabled": True,
            "version": 1,
            "created_at": datetime.now(UTC),
        }
        async with self._database.transaction() as session:
            await WebhookRepository(session, caller.tenant_id, caller.subject).create(row)
            tell(self._outbox, session, deed(caller, Done.WEBHOOK_CREATED, webhook_id))
        self._outbox.notify()
        return Made(Webhook(**row), secret)

    async def get(self, caller: Caller, webhook_id: str) -> Webhook:
        """Raises WebhookNotFound."""
        async with self._database.statements() as session:
            return await WebhookRepository(session, caller.tenant_id, submitter_of(caller)).get(webhook_id)

    async def list_page(self, caller: Caller, limit: int, cursor: str | None) -> Slice[Webhook]:
        """Newest first. Raises Invalid for a cursor of another list."""
        async with self._database.statements() as session:
            return await self._cursors.slice(
                WebhookRepository(session, caller.tenant_id, submitter_of(caller)).list_newest,
                key=lambda webhook: webhook.id,
                scope=["webhooks", caller.tenant_id, submitter_of(caller)],
                limit=limit,
                cursor=cursor,
            )

    async def update(self, caller: Caller, webhook_id: str, body: WebhookUpdate, if_match: str | None) -> Webhook:
        """With its maker's credential from now on. Raises as `create`, WebhookNotFound, WebhookOfAnother,
        PreconditionFailed.
        """
        given = body.model_dump()
        is_enabled = given.pop("is_enabled", None)
        if is_enabled:
            await self._give_up(caller, webhook_id)
        async with self._database.transaction() as session:
            webhooks = WebhookRepository(session, caller.tenant_id, submitter_of(caller))
            webhook = await webhooks.get(webhook_id, locked=True)
            require_match(if_match, etag(webhook.version))
            if not given and is_enabled is None:  # nothing is asked for
                return webhook
            if given and webhook.user_id != caller.subject:
                raise WebhookOfAnother
            if webhook.user_id == caller.subject and (given or is_enabled):  # to disable it takes no rights
                await self._require_few(webhooks, webhook, given)
                self._change(caller, webhook, given)
                if "url" in given:
                    await self._move(webhooks, webhook, given["url"])
            if is_enabled and not webhook.is_enabled:
                await webhooks.give_up(webhook_id, _AT_ONCE)  # what was told while it was being disabled
            if is_enabled is not None:
                _switch(webhook, is_enabled=is_enabled)
            webhook.version += 1
            tell(self._outbox, session, deed(caller, Done.WEBHOOK_UPDATED, webhook_id))
        self._outbox.notify()
        return webhook

    async def _give_up(self, caller: Caller, webhook_id: str) -> None:
        """Of one that is disabled, what still waits: enabled again it is not sent what it was not to be told.

        A few at a time, so that nothing waits for long; one that is enabled is left as it is. Raises WebhookNotFound.
        """
        is_more = True
        while is_more:
            async with self._database.transaction() as session:
                webhooks = WebhookRepository(session, caller.tenant_id, submitter_of(caller))
                await webhooks.get(webhook_id)
                is_more = await webhooks.give_up(webhook_id, _AT_ONCE) >= _AT_ONCE

    def _change(self, caller: Caller, webhook: Webhook, given: dict[str, Any]) -> None:
        """All but its URL."""
        if "events" in given:
            given["events"] = _as_set(given["events"])
        if "kinds" in given:
            given["kinds"] = self._known(given["kinds"])
        changed = {"events": webhook.events, "kinds": webhook.kinds, "covers": webhook.covers} | given
        _told_of(changed["events"], changed["kinds"], "/kinds" if "kinds" in given else "/events")
        _set(webhook, {name: value for name, value in given.items() if name != "url"})
        _set(webhook, _lent_by(caller, changed["events"], changed["covers"]))

    async def _require_few(self, webhooks: WebhookRepository, webhook: Webhook, given: dict[str, Any]) -> None:
        """Raises TooManyWebhooks where it would be one too many that covers the tenant."""
        if given.get("covers") == Covers.TENANT and webhook.covers != Covers.TENANT:
            await webhooks.require_few_covering()

    async def _move(self, webhooks: WebhookRepository, webhook: Webhook, url: str) -> None:
        required = self._required_url(url)
        if required != webhook.url:
            await webhooks.require_new(webhook.user_id, required)
            _set(webhook, {"url": required, "failing_since": None, "held_until": None})  # all of the old address

    async def rotate(self, caller: Caller, webhook_id: str, overlap: timedelta) -> Made:
        """A new secret; the old one is signed with too through the overlap.

        Raises WebhookNotFound, WebhookOfAnother, RotatedTooOften.
        """
        secret = new_secret()
        async with self._database.transaction() as session:
            webhooks = WebhookRepository(session, caller.tenant_id, submitter_of(caller))
            webhook = await webhooks.get(webhook_id, locked=True)
            if webhook.user_id != caller.subject:
                raise WebhookOfAnother
            webhook.older_secrets = rotated(webhook, overlap)
            webhook.secret = self._seal.close(caller.tenant_id, place_of(webhook_id), secret)
            webhook.version += 1
            seconds = int(overlap.total_seconds())
            tell(self._outbox, session, deed(caller, Done.WEBHOOK_ROTATED, webhook_id, overlap_seconds=seconds))
        self._outbox.notify()
        return Made(webhook, secret)

    async def delete(self, caller: Caller, webhook_id: str, if_match: str | None) -> None:
        """With its deliveries, which go a few at a time. Raises WebhookNotFound, PreconditionFailed."""
        async with self._database.transaction() as session:
            webhooks = WebhookRepository(session, caller.tenant_id, submitter_of(caller))
            webhook = await webhooks.get(webhook_id, locked=True)
            require_match(if_match, etag(webhook.version))
            _set(webhook, {"deleted_at": datetime.now(UTC), "is_enabled": False, "secret": "", "older_secrets": []})
            tell(self._outbox, session, deed(caller, Done.WEBHOOK_DELETED, webhook_id))
        self._outbox.notify()

    def _required_url(self, text: str) -> str:
        """As it is asked for. What its host stands for is looked at with each delivery. Raises WebhookUrlRefused."""
        try:
            url = require_url(text)
        except RequestRefused as error:
            raise WebhookUrlRefused(error.detail) from error
        host = url.raw_host or ""
        if is_address(host) and not self._allowed.takes_all([host]):
            raise WebhookUrlRefused("The host is at an address that may not be asked.")
        encoded = str(url)
        if len(encoded) > LONGEST_URL:
            raise WebhookUrlRefused(f"It is longer than {LONGEST_URL} characters once it is encoded.")
        return encoded

    def _known(self, names: list[str]) -> list[str]:
        """Raises KindUnknown."""
        known = {kind.name for kind in self._kinds.list()}
        for at, name in enumerate(names):
            if name not in known:
                raise KindUnknown(name, f"/kinds/{at}")
        return _as_set(names)


def _told_of(events: Iterable[str], kinds: list[str], pointer: str) -> list[str]:
    """The kinds. Raises Invalid where nothing is told that has one: they would say nothing."""
    if kinds and not any(event.startswith("task.") for event in events):
        raise Invalid.field(pointer, "unused", "Kinds are of tasks, and no event of a task is told.")
    return kinds


def _lent_by(caller: Caller, events: Iterable[str], covers: str) -> dict[str, Any]:
    """What it acts with: the caller's credential, for no more than reading its events takes. Raises MissingScope."""
    scopes = sorted(scopes_of(events, covers))
    require_scopes(caller, scopes)
    return authority_of(caller) | {"scopes": scopes}


def _switch(webhook: Webhook, *, is_enabled: bool) -> None:
    if is_enabled:
        _set(webhook, _ENABLED)
    elif webhook.is_enabled:
        _set(webhook, {"is_enabled": False, "error_code": None, "error_detail": None, "disabled_at": datetime.now(UTC)})


def _set(webhook: Webhook, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(webhook, name, value)


def _as_set(words: Iterable[str]) -> list[str]:
    """Each once, as the store keeps them."""
    return [str(word) for word in dict.fromkeys(words)]
