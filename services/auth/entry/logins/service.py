"""Logging in. No connection is held while a password is hashed: a login storm must leave the pool to the others."""

from dataclasses import dataclass

from services.auth.entry.issuing.issuer import TokenIssuer
from services.auth.entry.issuing.pair import TokenPair
from services.auth.entry.sessions.ending import SessionEnder
from services.auth.entry.sessions.repository import SessionRepository
from services.auth.errors import SourceHeldOff, WrongCredentials
from services.auth.models import User
from services.auth.people.accounts.repository import AccountRepository
from services.auth.people.notices.service import Notices
from services.auth.people.passwords.hashing import PasswordHasher
from services.auth.people.passwords.throttle import Admission, Clock, Counted, Throttle, by_account, by_source, now
from services.auth.trust.audit.actions import Action
from services.auth.trust.scopes import Role, granted
from services.auth.trust.work import Works


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody typed. `tenant_id` chooses one of their tenants, their own when None."""

    email: str
    password: str
    scopes: frozenset[str]
    tenant_id: str | None
    source: str | None

    @property
    def counted(self) -> tuple[Counted, Counted | None]:
        return by_account(self.email), by_source(self.source) if self.source else None


@dataclass(frozen=True, slots=True)
class _Candidate:
    """Who it may be, before the password was looked at."""

    admission: Admission
    user: User | None
    role: Role | None

    def is_allowed(self, *, matches: bool) -> bool:
        return matches and self.admission.is_admitted and self.user is not None and self.user.disabled_at is None

    def may_log_in(self, *, before_proof: bool) -> bool:
        """Whether they have a tenant to act in, and an address that counts."""
        return self.role is not None and self.user is not None and (before_proof or self.user.email_verified)


class LoginService:
    def __init__(
        self,
        works: Works,
        hasher: PasswordHasher,
        issuer: TokenIssuer,
        session_seconds: int,
        notices: Notices,
        *,
        before_proof: bool,
        clock: Clock = now,
    ) -> None:
        """`before_proof` when an account may log in whose address was not proved."""
        self._works, self._hasher, self._issuer, self._notices = works, hasher, issuer, notices
        self._session_seconds, self._before_proof, self.clock = session_seconds, before_proof, clock

    async def log_in(self, given: Credentials) -> TokenPair:
        """Raises WrongCredentials, SourceHeldOff, ScopeNotAllowed, HashingBusy.

        Unknown, wrong, locked, disabled and not yet proved take the same way through here, and so the same time.
        """
        candidate, user, renewed = await self._proved(given)
        may_log_in = candidate.may_log_in(before_proof=self._before_proof)
        pair = await self._begin_session(given, candidate, user, renewed) if may_log_in else None
        if pair is None:
            raise self._refused(given, candidate)
        return pair

    async def prove(self, given: Credentials) -> User:
        """Whose address and password these are; counted like a login, and no session begins.

        Raises WrongCredentials, SourceHeldOff, HashingBusy.
        """
        candidate, user, renewed = await self._proved(given)
        await self._succeed(given, candidate.admission, user, renewed)
        return user

    async def _proved(self, given: Credentials) -> tuple[_Candidate, User, str | None]:
        """With a new hash to keep, when the parameters have risen since."""
        async with self._hasher.admitted(given.source):
            candidate = await self._candidate(given)
            matches, renewed = await self._hasher.verify(
                given.password, candidate.user.password_hash if candidate.user else None
            )
        if not candidate.is_allowed(matches=matches) or candidate.user is None:
            raise self._refused(given, candidate)
        self._hasher.welcome(given.source)
        return candidate, candidate.user, renewed

    async def _candidate(self, given: Credentials) -> _Candidate:
        async with self._works.database.statements() as session:
            admission = await Throttle(session, self.clock).admit(*given.counted)
            found = await AccountRepository(session).find_by_email_with_role(given.email, given.tenant_id)
        user, role = found or (None, None)
        return _Candidate(admission, user, role)

    def _refused(self, given: Credentials, candidate: _Candidate) -> WrongCredentials | SourceHeldOff:
        """Which of the two depends on the source alone, and on nothing that was typed.

        It is noted later, since only where there is an account is there something new to write.
        """
        admission, user = candidate.admission, candidate.user
        self._works.note_later(
            Action.LOGIN_REFUSED if admission.is_admitted else Action.LOGIN_HELD_OFF,
            source=given.source,
            tenant_id=user.tenant_id if user else None,
            target=user.id if user else None,
        )
        return SourceHeldOff(admission.source_waits_seconds) if admission.source_waits_seconds else WrongCredentials()

    async def _begin_session(
        self, given: Credentials, candidate: _Candidate, user: User, renewed: str | None
    ) -> TokenPair | None:
        """None when the user was disabled, left the tenant, or changed the password, while it was hashed."""
        await self._succeed(given, candidate.admission, user, renewed)
        tenant_id = given.tenant_id or user.tenant_id
        async with self._works.begin(given.source) as work:
            principal = await AccountRepository(work.session).hold_principal(user.id, tenant_id)
            if principal is None or _has_changed(principal.user, user, renewed):
                return None
            scopes = granted(given.scopes, principal.scopes)
            begun = await SessionRepository(work.session).create(
                user_id=user.id, tenant_id=tenant_id, scope=" ".join(sorted(scopes)), seconds=self._session_seconds
            )
            work.note(Action.LOGIN_SUCCEEDED, actor=user.id, tenant_id=tenant_id, target=begun.id)
            for session_id, of_tenant in begun.gave_way:
                SessionEnder(work).tell(user.id, of_tenant, session_id)
            return TokenPair(self._issuer.for_session(principal, scopes, begun.id), begun.refresh_token)

    async def _succeed(self, given: Credentials, admission: Admission, user: User, renewed: str | None) -> None:
        """Not in the transaction of the session: all logins from one source change one row, and would queue for it.

        The owner is told of a new source whatever comes of the login: after this it is known. Who has yet to prove the
        address is told of none, also where they do so before a letter would be written.
        """
        async with self._works.database.statements() as session:
            is_new_source = await Throttle(session, self.clock).succeed(*given.counted, admission)
            if renewed:
                await AccountRepository(session).keep_renewed_hash(user.id, user.password_hash, renewed)
        if is_new_source and user.email_verified:
            self._notices.logged_in_elsewhere(user.id, given.source)


def _has_changed(now: User, before: User, renewed: str | None) -> bool:
    """Whether the password is another by now; the same one under newer parameters counts as no change of the user."""
    return now.version != before.version and now.password_hash not in (before.password_hash, renewed)
