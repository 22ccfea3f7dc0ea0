"""An account whose address was never proved gives way to whoever proves it."""

from collections.abc import Mapping

from services.auth.entry.api_keys.repository import ApiKeyRepository
from services.auth.entry.sessions.ending import SessionEnder
from services.auth.errors import ProofRefused
from services.auth.models import User
from services.auth.people.accounts.repository import AccountRepository
from services.auth.trust.audit.actions import Action
from services.auth.trust.work import Work


async def locked(work: Work, email: str, *, beside: str | None = None) -> tuple[Mapping[str, User], User | None]:
    """By id, the account that holds the address and the one with the id `beside`; and the first of them, if any.

    Sessions of the holder end first, as a refresh takes them, and the accounts are locked in the order of their ids, or
    two transactions could wait for each other. Raises ProofRefused when the holder may not be displaced.
    """
    accounts = AccountRepository(work.session)
    holder = await accounts.find_by_email(email)
    holder_id = holder.id if holder and holder.id != beside else None
    if holder_id:
        await SessionEnder(work).end_others(holder_id, None)
    users = {id: await accounts.get_locked(id) for id in sorted(filter(None, (holder_id, beside)))}
    found = users[holder_id] if holder_id else None
    if found and (found.email != email or found.email_verified or found.disabled_at):
        raise ProofRefused
    return users, found


async def displace(work: Work, user: User) -> None:
    """End all that the account holds, which is `locked`, and free its address. What it made stays with its tenant."""
    await AccountRepository(work.session).displace(user)
    await SessionEnder(work).end_others(user.id, None)  # those that began before it was locked
    await ApiKeyRepository(work.session).revoke_all_of(user.id)
    work.access.end_user(user.id)
    work.note(Action.USER_DISPLACED, tenant_id=user.tenant_id, target=user.id)
