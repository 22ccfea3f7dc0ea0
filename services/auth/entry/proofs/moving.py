"""Asking for another address. Nothing changes until the letter to it is answered."""

from functools import partial

from services.auth.entry.passwords.current import CurrentPassword, has_another_password
from services.auth.entry.proofs.schemas import EmailChange
from services.auth.models import User
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.letters.allowance import Allowance, Kind
from services.auth.people.letters.post import Post
from services.auth.people.letters.tokens import MailedTokens, Purpose
from services.auth.ports import Mail
from services.auth.trust.audit.actions import Action
from services.auth.trust.work import Works
from shared.identity import Caller

_TEXT = """\
Somebody, probably you, wants this to be the e-mail address of their account on SutazAI ({public_url}).

To have it so, send this token within 24 hours

    {token}

to

    POST {public_url}/api/v1/auth/verify
    {{"token": "..."}}

How to send it from a browser: {public_url}/api/v1/auth/docs

If it was not you, do nothing: without an answer nothing changes.
"""


class MovingService:
    def __init__(self, works: Works, current: CurrentPassword, post: Post, public_url: str) -> None:
        self._works, self._current, self._post, self._public_url = works, current, post, public_url

    async def ask(self, caller: Caller, body: EmailChange, source: str | None) -> None:
        """A letter to the new address, soon, unless somebody has proved it, which nobody learns here.

        Raises WrongCurrentPassword (counted like a failed login), HashingBusy, Unavailable("mail").
        """
        self._post.require_open()
        async with self._current.proved(caller, body.current_password.get_secret_value(), source) as proved:
            pass
        async with self._works.begin(source) as work:
            work.note(Action.EMAIL_CHANGE_ASKED, by=caller, target=caller.subject)
        self._post.soon(partial(self._write, caller, proved, body.email, source), source)

    async def _write(self, caller: Caller, proved: User, email: str, source: str | None) -> Mail | None:
        """None too where the password was changed since: what was asked for with the old one has ended."""
        async with self._works.begin(source) as work:
            accounts = AccountRepository(work.session)
            principal, holder = (
                await accounts.hold_principal(caller.subject, caller.tenant_id),
                await accounts.find_by_email(email),
            )
            if principal is None or has_another_password(principal.user, proved):
                return None
            if holder and (holder.email_verified or holder.disabled_at):
                return None
            if not await Allowance(work.session).take(Kind.PROOF, email, source):
                return None
            token = await MailedTokens(work.session).add(Purpose.MOVE, email, principal.user.id)
        text = _TEXT.format(token=token, public_url=self._public_url)
        return Mail(to=email, subject="Your new e-mail address on SutazAI", text=text)
