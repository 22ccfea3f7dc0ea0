"""The token of a letter shows that a mailbox is somebody's: their account counts from then on, or has that address.

What holds the address without having proved it is displaced in the same transaction; what has proved it stays, and the
token leads nowhere. Of many proofs of one address at once, one succeeds.
"""

from functools import partial

from services.auth.entry.proofs.displacing import displace, locked
from services.auth.errors import EmailTaken, ProofRefused, UserNotFound
from services.auth.models import MailedToken
from services.auth.people.accounts.domain import NewAccount
from services.auth.people.accounts.letters import proof_letter
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.accounts.service import note_registered
from services.auth.people.letters.allowance import Allowance, Kind
from services.auth.people.letters.post import Post
from services.auth.people.letters.tokens import MailedTokens, Purpose
from services.auth.people.notices.service import Notices
from services.auth.ports import Mail
from services.auth.trust.audit.actions import Action
from services.auth.trust.work import Work, Works
from shared.identity import Caller


class ProofService:
    def __init__(self, works: Works, post: Post, notices: Notices, public_url: str) -> None:
        self._works, self._post, self._notices, self._public_url = works, post, notices, public_url

    async def prove(self, token: str, source: str | None) -> None:
        """Raises ProofRefused for a token that is unknown, over or used, or of an address that another has proved."""
        try:
            async with self._works.begin(source) as work:
                found = await MailedTokens(work.session).find(token, [Purpose.PROOF, Purpose.MOVE])
                if found is None:
                    raise ProofRefused
                old_email = await (_move if found.purpose == Purpose.MOVE else _prove)(work, found)
                if not await MailedTokens(work.session).use_up(found):
                    raise ProofRefused
        except (EmailTaken, UserNotFound) as error:  # somebody was faster
            raise ProofRefused from error
        if old_email:
            self._notices.address_moved(found.user_id, old_email, source)

    async def send_again(self, caller: Caller, source: str | None) -> None:
        """Another letter, soon, unless the address is proved or has had too many. Raises Unavailable("mail")."""
        self._post.require_open()
        self._post.soon(partial(self._write, caller, source), source)

    async def _write(self, caller: Caller, source: str | None) -> Mail | None:
        async with self._works.begin(source) as work:
            principal = await AccountRepository(work.session).find_principal(caller.subject, caller.tenant_id)
            if principal is None or principal.user.email_verified:
                return None
            email = principal.user.email
            if not await Allowance(work.session).take(Kind.PROOF, email, source):
                return None
            token = await MailedTokens(work.session).add(Purpose.PROOF, email, principal.user.id)
        return proof_letter(email, token, self._public_url)


async def _prove(work: Work, token: MailedToken) -> None:
    """The account that the token is about, made of its draft where it is none yet."""
    accounts = AccountRepository(work.session)
    existing = await accounts.find_by_email(token.email)
    if existing and existing.id == token.user_id:
        user = await accounts.get_locked(existing.id)
        if user.email != token.email or user.email_verified or user.disabled_at:
            raise ProofRefused
        await accounts.prove_address(user)
        work.note(Action.EMAIL_PROVED, actor=user.id, tenant_id=user.tenant_id, target=user.id)
        return
    draft, password_hash = _draft(token)
    _, holder = await locked(work, token.email)
    if holder:
        await displace(work, holder)
    await accounts.create(draft, password_hash, is_proved=True)
    note_registered(work, draft)
    work.note(Action.EMAIL_PROVED, actor=draft.id, tenant_id=draft.tenant_id, target=draft.id)


def _draft(token: MailedToken) -> tuple[NewAccount, str]:
    """Raises ProofRefused where the token is of an account that is no more."""
    if token.tenant_id is None or token.password_hash is None:
        raise ProofRefused
    draft = NewAccount(token.user_id, token.tenant_id, token.email, token.name, token.created_at)
    return draft, token.password_hash


async def _move(work: Work, token: MailedToken) -> str | None:
    """The account has the token's address from now on. Returns the old one, where that was proved."""
    users, holder = await locked(work, token.email, beside=token.user_id)
    user = users[token.user_id]
    if user.disabled_at:
        raise ProofRefused
    if holder:
        await displace(work, holder)
    old_email = user.email if user.email_verified else None
    await AccountRepository(work.session).move_address(user, token.email)
    work.note(Action.EMAIL_CHANGED, actor=user.id, tenant_id=user.tenant_id, target=user.id)
    return old_email
