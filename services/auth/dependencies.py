"""The annotated types that auth's routes ask for."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.accounts.repository import AccountRepository
from services.auth.accounts.service import AccountService
from services.auth.api_keys.repository import ApiKeyRepository
from services.auth.api_keys.service import ApiKeyService
from services.auth.tokens.repository import RefreshTokenRepository
from services.auth.tokens.service import TokenService


async def _session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.state.database.transaction() as session:
        yield session


# "function" scope: the commit happens before the answer leaves, so a failed one is never a 201.
Session = Annotated[AsyncSession, Depends(_session, scope="function")]


def _accounts(request: Request, session: Session) -> AccountService:
    return AccountService(AccountRepository(session), request.state.passwords)


def _tokens(request: Request, session: Session) -> TokenService:
    state = request.state
    return TokenService(
        AccountRepository(session),
        RefreshTokenRepository(session),
        state.passwords,
        state.issuer,
        request.app.state.settings,
    )


def _api_keys(request: Request, session: Session) -> ApiKeyService:
    state = request.state
    return ApiKeyService(
        ApiKeyRepository(session), AccountRepository(session), state.api_key_format, state.platform.cursors
    )


Accounts = Annotated[AccountService, Depends(_accounts)]
Tokens = Annotated[TokenService, Depends(_tokens)]
ApiKeys = Annotated[ApiKeyService, Depends(_api_keys)]
