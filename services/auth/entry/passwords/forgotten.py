"""The way back for who forgot their password: the token of a letter, in place of the old one.

The answer to who asks is made before anybody looks whether there is such an account, so neither it nor its time can
tell. An address that was never proved has no way back: whoever registers with it again and proves it has it.
"""

from functools import partial

from services.auth.entry.api_keys.repository import ApiKeyRepository
from services.auth.entry.passwords.current import by_change
from services.auth.entry.passwords.schemas import PasswordReset
from services.auth.entry.sessions.ending import SessionEnder
from services.auth.errors import ResetRefused
from services.auth.models import MailedToken, User
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.letters.allowance import Allowance, Kind
from services.auth.people.letters.post import Post
from services.auth.people.letters.tokens import MailedTokens, Purpose
from services.auth.people.notices.service import Notices
from services.auth.people.passwords.hashing import PasswordHasher
from services.auth.people.passwords.throttle import Throttle, by_account
from services.auth.ports import Mail
from services.auth.trust.audit.actions import Action
from services.auth.trust.work import Work, Works

_TEXT = """\
Somebody, probably you, forgot the password of your account on SutazAI ({public_url}).

To choose another one, send this token within 30 minutes

    {token}

together with it to

    POST {public_url}/api/v1/auth/password/reset
    {{"token": "...", "password": "..."}}

How to send it from a browser: {public_url}/api/v1/auth/docs

It ends every session. API keys go on, unless you add "revoke_api_keys": true.

Whoever has the token can answer in your place, so pass it on to nobody. If it was not you, do nothing: without an
answer nothing changes.
"""


class ForgottenService:
    def __init__(self, works: Works, hasher: PasswordHasher, post: Post, notices: Notices, public_url: str) -> None:
        self._works, self._hasher, self._post, self._notices = works, hasher, post, notices
        self._public_url = public_url

    async def forgot(self, email: str, source: str | None) -> None:
        """A letter, soon, where there is such an account and it had not too many. Raises Unavailable("mail")."""
        self._post.require_open()
        self._post.soon(partial(self._write, email, source), source)

    async def _write(self, email: str, source: str | None) -> Mail | None:
        async with self._works.begin(source) as work:
            user = await AccountRepository(work.session).find_by_email(email)
            if user is None or not user.email_verified or user.disabled_at:
                return None
            if not await Allowance(work.session).take(Kind.PASSWORD, email, source):
                return None
            token = await MailedTokens(work.session).add(Purpose.PASSWORD, email, user.id)
            work.note(Action.PASSWORD_FORGOTTEN, tenant_id=user.tenant_id, target=user.id)
        text = _TEXT.format(token=token, public_url=self._public_url)
        return Mail(to=email, subject="A new password on SutazAI", text=text)

    async def reset(self, body: PasswordReset, source: str | None) -> None:
        """Another password; all sessions end, and the API keys where that was asked for.

        Raises ResetRefused (unknown, over and used are not told apart), PasswordTooCommon, HashingBusy.
        """
        token = body.token.get_secret_value()
        async with self._works.begin() as work:  # a guess costs one look into an index
            await _find(work, token)
        async with self._hasher.admitted(source):
            new_hash = await self._hasher.hash_new(body.password.get_secret_value(), "/password")
        async with self._works.begin(source) as work:
            user = await _used_up(work, await _find(work, token))
            await AccountRepository(work.session).replace_password_hash(user, new_hash)
            await Throttle(work.session).clear(by_account(user.email))
            await Throttle(work.session).clear(by_change(user.id))
            keys = await _revoked_keys(work, user) if body.revoke_api_keys else 0
            work.note(Action.PASSWORD_RESET, actor=user.id, tenant_id=user.tenant_id, target=user.id, revoked_keys=keys)
        self._notices.password_changed(user.id, source)


async def _find(work: Work, token: str) -> MailedToken:
    """Raises ResetRefused."""
    found = await MailedTokens(work.session).find(token, [Purpose.PASSWORD])
    if found is None:
        raise ResetRefused
    return found


async def _used_up(work: Work, token: MailedToken) -> User:
    """Whose it was, with no session left. Raises ResetRefused for all but one of many at once."""
    # Sessions first, as a refresh takes them, or the two could wait for each other; then those that began meanwhile.
    await SessionEnder(work).end_others(token.user_id, None)
    user = await AccountRepository(work.session).get_locked(token.user_id)
    await SessionEnder(work).end_others(token.user_id, None)
    if user.disabled_at or user.email != token.email or not await MailedTokens(work.session).use_up(token):
        raise ResetRefused
    return user


async def _revoked_keys(work: Work, user: User) -> int:
    """How many there were."""
    ids = await ApiKeyRepository(work.session).revoke_all_of(user.id)
    for key_id in ids:
        work.access.end_key(key_id)
    return len(ids)
