"""Inviting somebody, and taking it back.

The letter leaves before anything is made, while no connection to the database is held: a slow mail server costs those
who invite a wait, and nobody else. When it fails nothing is made; when what follows fails, the token in the letter
leads nowhere.

A request that is repeated under its key, because its answer was lost, is given the invitation that was made and sends
no letter. When the letter left and nothing was made, it sends another, whose token counts.
"""

import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from services.auth.errors import AlreadyMember, TooManyInvitations
from services.auth.membership.deciding import require_decider
from services.auth.membership.invitations.letter import invitation_letter
from services.auth.membership.invitations.repository import InvitationRepository
from services.auth.membership.invitations.schemas import InvitationCreate
from services.auth.models import IdempotencyKeyRow, Invitation
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.tenants.repository import MemberRepository
from services.auth.ports import Mailer
from services.auth.trust.audit.actions import Action
from services.auth.trust.work import Work, Works
from shared.door import Once
from shared.errors import Unavailable
from shared.identity import Caller
from shared.limits import TENANT_SHARE
from shared.postgres import EffectKey, IdempotencyKeys
from shared.resources import CursorCodec, Slice
from shared.schemas import new_id

LIFE = timedelta(days=7)
MAX_UNANSWERED = 100
"""Letters that one tenant may have sent within the life of an invitation and that nobody has answered."""
_SENDING = 8  # letters under way at once, half of them of one tenant: its guests' mail servers may be slow ones


class InvitationService:
    def __init__(self, works: Works, mailer: Mailer, cursors: CursorCodec, public_url: str) -> None:
        self._works, self._mailer, self._cursors = works, mailer, cursors
        self._public_url = public_url
        self._sending = Counter[str]()

    async def create(
        self, caller: Caller, body: InvitationCreate, source: str | None, once: Once | None = None
    ) -> Invitation:
        """Send the letter and make the invitation, which takes the place of an open one to the same address.

        Raises EmailUnverified, AlreadyMember, TooManyInvitations, AddressRefused, Unavailable("mail"),
        IdempotencyKeyReused, InvitationNotFound where the one that was made for this key is no longer kept.
        """
        if once and (made := await self._made(caller, once)):
            return made
        with self._place(caller.tenant_id):
            inviter = await self._check(caller, body, source)
            token, expires_at = secrets.token_urlsafe(32), datetime.now(UTC) + LIFE
            letter = invitation_letter(
                to=body.email,
                role=body.role,
                token=token,
                inviter=inviter,
                public_url=self._public_url,
                expires_at=expires_at,
            )
            await self._mailer.send(letter)
            return await self._make(caller, body, token, expires_at, source, once)

    @contextmanager
    def _place(self, tenant_id: str) -> Iterator[None]:
        """To send a letter in. Raises Unavailable("mail")."""
        if self._sending.total() >= _SENDING or self._sending[tenant_id] >= _SENDING // TENANT_SHARE:
            raise Unavailable("mail", retry_after_seconds=1, detail="Too many letters at once; try again in a moment.")
        self._sending[tenant_id] += 1
        try:
            yield
        finally:
            self._sending -= Counter([tenant_id])  # and forget whoever has none

    async def _made(self, caller: Caller, once: Once) -> Invitation | None:
        """What was made for this key."""
        async with self._works.begin() as work:
            key = await IdempotencyKeys(work.session, IdempotencyKeyRow).find(once.digest)
            return await _found(work, caller, once, key) if key else None

    async def _check(self, caller: Caller, body: InvitationCreate, source: str | None) -> str:
        """The address of who invites."""
        async with self._works.begin(source) as work:
            await _require_room(work, caller, body)
            return (await AccountRepository(work.session).get_principal(caller.subject, caller.tenant_id)).user.email

    async def _make(
        self,
        caller: Caller,
        body: InvitationCreate,
        token: str,
        expires_at: datetime,
        source: str | None,
        once: Once | None,
    ) -> Invitation:
        async with self._works.begin(source) as work:
            invitation_id = new_id()
            if once:
                wanted = EffectKey(once.digest, once.of, invitation_id)
                stored = (await IdempotencyKeys(work.session, IdempotencyKeyRow).take([wanted]))[once.digest]
                if stored != wanted:
                    return await _found(work, caller, once, stored)
            await _require_room(work, caller, body)
            invitations = InvitationRepository(work.session)
            for earlier in await invitations.withdraw_to(caller.tenant_id, body.email):
                _note(work, Action.INVITATION_WITHDRAWN, caller, earlier)
            invitation = await invitations.create(
                id=invitation_id,
                tenant_id=caller.tenant_id,
                email=body.email,
                role=body.role,
                token=token,
                invited_by=caller.subject,
                expires_at=expires_at,
            )
            _note(work, Action.INVITATION_CREATED, caller, invitation.id, role=body.role)
        return invitation

    async def list_page(self, caller: Caller, limit: int, cursor: str | None) -> Slice[Invitation]:
        """The open ones, newest first. Raises Invalid for a cursor of another list."""
        async with self._works.begin() as work:
            return await self._cursors.slice(
                partial(InvitationRepository(work.session).list_open, caller.tenant_id),
                key=lambda row: row.id,
                scope=["invitations", caller.tenant_id],
                limit=limit,
                cursor=cursor,
            )

    async def withdraw(self, caller: Caller, invitation_id: str, source: str | None) -> None:
        """Raises InvitationNotFound."""
        async with self._works.begin(source) as work:
            await require_decider(work.session, caller)
            await InvitationRepository(work.session).withdraw(caller.tenant_id, invitation_id)
            _note(work, Action.INVITATION_WITHDRAWN, caller, invitation_id)


async def _found(work: Work, caller: Caller, once: Once, key: EffectKey) -> Invitation:
    """The invitation that was made for `key`. Raises IdempotencyKeyReused, InvitationNotFound."""
    once.found(key.of)
    return await InvitationRepository(work.session).get(caller.tenant_id, key.reference)


async def _require_room(work: Work, caller: Caller, body: InvitationCreate) -> None:
    """Raises AlreadyMember, TooManyInvitations; what it found holds until the transaction ends."""
    await require_decider(work.session, caller)
    if await MemberRepository(work.session).is_member(caller.tenant_id, body.email):
        raise AlreadyMember
    if await InvitationRepository(work.session).count_unanswered(caller.tenant_id) >= MAX_UNANSWERED:
        raise TooManyInvitations


def _note(work: Work, action: Action, caller: Caller, invitation_id: str, **details: Any) -> None:
    work.note(action, by=caller, target=invitation_id, **details)
