"""Giving tokens out: for a password, for a refresh token, and to services that act for a user."""

import hmac
from dataclasses import dataclass

from services.auth.accounts.passwords import Passwords
from services.auth.accounts.repository import AccountRepository
from services.auth.errors import (
    DelegationRefused,
    RefreshTokenRefused,
    RefreshTokenReused,
    WrongClient,
    WrongCredentials,
)
from services.auth.models import User
from services.auth.scopes import granted, scopes_of
from services.auth.settings import Settings
from services.auth.tokens.issuer import AccessToken, TokenIssuer
from services.auth.tokens.repository import RefreshTokenRepository


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a grant gives."""

    access: AccessToken
    refresh_token: str


class TokenService:
    def __init__(
        self,
        accounts: AccountRepository,
        sessions: RefreshTokenRepository,
        passwords: Passwords,
        issuer: TokenIssuer,
        settings: Settings,
    ) -> None:
        self._accounts, self._sessions, self._passwords = accounts, sessions, passwords
        self._issuer, self._settings = issuer, settings

    async def log_in(self, email: str, password: str, requested: frozenset[str]) -> TokenPair:
        """Raises WrongCredentials, ScopeNotAllowed, HashingBusy."""
        user = await self._accounts.find_by_email(email.lower())
        matches, renewed = await self._passwords.verify(password, user.password_hash if user else None)
        if user is None or not matches or user.disabled_at is not None:
            raise WrongCredentials
        if renewed:
            await self._accounts.replace_password_hash(user.id, renewed)
        return await self._pair(user, granted(requested, scopes_of(is_admin=user.is_admin)))

    async def refresh(self, refresh_token: str, requested: frozenset[str]) -> TokenPair:
        """Exchange a refresh token, once. Raises RefreshTokenRefused, RefreshTokenReused, ScopeNotAllowed."""
        used = await self._sessions.use(refresh_token)
        if used is None:
            raise await self._refused(refresh_token)
        user = await self._accounts.find_enabled(used.user_id)
        if user is None:
            raise RefreshTokenRefused
        still_allowed = frozenset(used.scope.split()) & scopes_of(is_admin=user.is_admin)
        return await self._pair(user, granted(requested, still_allowed), used.family_id)

    async def _refused(self, refresh_token: str) -> RefreshTokenRefused:
        replayed = await self._sessions.find_used(refresh_token)
        if replayed is None:
            return RefreshTokenRefused()
        await self._sessions.revoke_family(replayed.family_id, replayed.user_id)
        return RefreshTokenReused()

    async def _pair(self, user: User, scopes: frozenset[str], family_id: str | None = None) -> TokenPair:
        refresh_token, family_id = await self._sessions.create(
            user_id=user.id,
            scope=" ".join(sorted(scopes)),
            seconds=self._settings.refresh_token_seconds,
            family_id=family_id,
        )
        return TokenPair(self._issuer.for_session(user, scopes, family_id), refresh_token)

    async def log_out(self, user_id: str, session_id: str) -> None:
        """End one session: its refresh tokens work no more."""
        await self._sessions.revoke_family(session_id, user_id)

    async def delegate(
        self, client_id: str, client_secret: str, subject: str, tenant_id: str, scopes: frozenset[str]
    ) -> AccessToken:
        """A token by which a service acts for a user, with no more than the user's rights.

        Raises WrongClient, DelegationRefused (unknown or disabled user, other tenant, scopes beyond the user's).
        """
        self._check_client(client_id, client_secret)
        user = await self._accounts.find_enabled(subject)
        if user is None or user.tenant_id != tenant_id or not scopes <= scopes_of(is_admin=user.is_admin):
            raise DelegationRefused
        return self._issuer.for_service(user, scopes, client_id)

    def _check_client(self, client_id: str, client_secret: str) -> None:
        known = self._settings.service_client_secrets.get(client_id)
        expected = known.get_secret_value() if known else ""
        if not hmac.compare_digest(expected.encode(), client_secret.encode()) or not expected:
            raise WrongClient
