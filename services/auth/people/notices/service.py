"""Letters to the owner of an account about what was done with it: they would know if it was not them.

Sent after the answer, to proved addresses only. They are lost with the process that would send them; the audit log,
which was written with the change, has it all the same.
"""

from datetime import UTC, datetime
from functools import partial

from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.letters.allowance import Allowance, Kind
from services.auth.people.letters.post import Post
from services.auth.ports import Mail
from services.auth.trust.work import Works

_TEXT = """\
{what}

    when        {at} UTC
    from        {source}
    account     {email}

If it was you, there is nothing to do. If not, change your password, which ends every other session, and look through
your API keys:

    POST {public_url}/api/v1/auth/password
    GET  {public_url}/api/v1/auth/api-keys

If you cannot log in any more: POST {public_url}/api/v1/auth/password/forgot
How to send these from a browser: {public_url}/api/v1/auth/docs
"""


class Notices:
    """Each may be called once what it tells of is committed. None raises, none is waited for."""

    def __init__(self, works: Works, post: Post, public_url: str) -> None:
        self._works, self._post, self._public_url = works, post, public_url

    def api_key_made(self, user_id: str, prefix: str, source: str | None) -> None:
        self._tell(user_id, "A new API key", f"An API key was made that begins {prefix}.", source)

    def password_changed(self, user_id: str, source: str | None) -> None:
        self._tell(user_id, "Your password was changed", "The password of your account was changed.", source)

    def logged_in_elsewhere(self, user_id: str, source: str | None) -> None:
        """From where the account was not logged in to lately."""
        what = "Somebody logged in to your account from an address that it was not used from lately."
        self._tell(user_id, "A login from a new address", what, source)

    def address_moved(self, user_id: str, old_email: str, source: str | None) -> None:
        """To the old address, since it is the one that would know better."""
        what = (
            "Your account has another e-mail address from now on, and this one is told nothing more. If it was not\n"
            "you, an administrator of the installation can help."
        )
        self._tell(user_id, "Your e-mail address was changed", what, source, to=old_email)

    def _tell(self, user_id: str, subject: str, what: str, source: str | None, *, to: str | None = None) -> None:
        # About this account: what strangers ask for from the same source must not push it out.
        self._post.soon(partial(self._write, user_id, subject, what, source, datetime.now(UTC), to), f"user {user_id}")

    async def _write(
        self, user_id: str, subject: str, what: str, source: str | None, at: datetime, to: str | None
    ) -> Mail | None:
        async with self._works.begin() as work:
            user = await AccountRepository(work.session).find_told(user_id)
            email = to or (user.email if user else None)
            if email is None or not await Allowance(work.session).take(Kind.NOTICE, email):
                return None
        text = _TEXT.format(
            what=what,
            at=at.strftime("%d %B %Y, %H:%M"),
            source=source or "unknown",
            email=email,
            public_url=self._public_url,
        )
        return Mail(to=email, subject=f"{subject} (SutazAI)", text=text)
