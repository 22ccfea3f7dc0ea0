"""What the owner of a mailbox reads when somebody registers with its address."""

from functools import partial

from services.auth.models import User
from services.auth.people.accounts.domain import NewAccount
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.letters.allowance import Allowance, Kind
from services.auth.people.letters.post import Post
from services.auth.people.letters.tokens import MailedTokens, Purpose
from services.auth.ports import Mail
from services.auth.trust.work import Works

_PROOF = """\
Somebody, probably you, registered with this e-mail address on SutazAI ({public_url}).

To show that the address is yours, send this token within 24 hours

    {token}

to

    POST {public_url}/api/v1/auth/verify
    {{"token": "..."}}

How to send it from a browser: {public_url}/api/v1/auth/docs

The token stands for the registration that this letter came with, and the password that was chosen there. If that was
not you, do nothing: without an answer the address counts as nobody's. If somebody else registered with it before you,
your answer ends what they made.
"""
_TAKEN = """\
Somebody, perhaps you, tried to register with this e-mail address on SutazAI ({public_url}). It has an account already,
and nothing was changed.

If you forgot your password:

    POST {public_url}/api/v1/auth/password/forgot
    {{"email": "..."}}

How to send it from a browser: {public_url}/api/v1/auth/docs

If it was not you, there is nothing to do: who tried was not told that there is an account.
"""


def proof_letter(to: str, token: str, public_url: str) -> Mail:
    """By which the address of an account is proved."""
    return Mail(to=to, subject="Your e-mail address on SutazAI", text=_PROOF.format(token=token, public_url=public_url))


class RegistrationLetters:
    """Looks only after the answer whether the address has an account, so that the answer cannot tell."""

    def __init__(self, works: Works, post: Post, public_url: str) -> None:
        self._works, self._post, self._public_url = works, post, public_url

    @property
    def are_sent(self) -> bool:
        """Whether there is mail, and so a way to prove an address."""
        return self._post.is_open

    def registered(self, account: NewAccount, password_hash: str, source: str | None) -> None:
        """A token to whoever reads the mail of an address that nobody has proved; to its owner, that somebody tried."""
        self._post.soon(partial(self._write, account, password_hash, source), source)

    async def _write(self, account: NewAccount, password_hash: str, source: str | None) -> Mail | None:
        async with self._works.begin(source) as work:
            holder = await AccountRepository(work.session).find_by_email(account.email)
            if holder and holder.disabled_at:  # an administrator's word, which no registration undoes
                return None
            if not await Allowance(work.session).take(Kind.PROOF, account.email, source):
                return None
            if holder and holder.email_verified:
                text = _TAKEN.format(public_url=self._public_url)
                return Mail(to=account.email, subject="You have an account on SutazAI", text=text)
            token = await self._token(MailedTokens(work.session), account, password_hash, holder)
        return proof_letter(account.email, token, self._public_url)

    async def _token(self, tokens: MailedTokens, account: NewAccount, password_hash: str, holder: User | None) -> str:
        """Of the account that was made, or of the draft of one that would take the place of its holder's."""
        if holder and holder.id == account.id:
            return await tokens.add(Purpose.PROOF, account.email, account.id)
        return await tokens.add(
            Purpose.PROOF,
            account.email,
            account.id,
            tenant_id=account.tenant_id,
            name=account.name,
            password_hash=password_hash,
            drafted_at=account.created_at,
        )
