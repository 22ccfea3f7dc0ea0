"""The annotated types that auth's routes ask for."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request

from services.auth.administration.service import UserAdministration
from services.auth.entry.api_keys.service import ApiKeyService
from services.auth.entry.logins.service import LoginService
from services.auth.entry.sessions.service import Sessions as SessionUseCases
from services.auth.entry.tokens.service import TokenService
from services.auth.membership.invitations.acceptance import AcceptanceService
from services.auth.membership.invitations.service import InvitationService
from services.auth.membership.members.service import MemberService
from services.auth.people.accounts.service import AccountService
from services.auth.trust.dependencies import Source
from services.auth.trust.work import Work as OpenWork


async def _work(request: Request, source: Source) -> AsyncIterator[OpenWork]:
    async with request.state.works.begin(source) as work:
        yield work


# "function" scope: the commit happens before the answer leaves, so a failed one is never a 201.
Work = Annotated[OpenWork, Depends(_work, scope="function")]


async def _accounts(request: Request) -> AccountService:
    service: AccountService = request.state.accounts
    return service


async def _logins(request: Request) -> LoginService:
    service: LoginService = request.state.logins
    return service


async def _sessions(request: Request) -> SessionUseCases:
    service: SessionUseCases = request.state.sessions
    return service


async def _tokens(request: Request) -> TokenService:
    service: TokenService = request.state.tokens
    return service


async def _api_keys(request: Request, work: Work) -> ApiKeyService:
    return ApiKeyService(work, request.state.key_hasher, request.state.platform.cursors)


async def _users(request: Request, work: Work) -> UserAdministration:
    return UserAdministration(work, request.state.platform.cursors)


async def _members(request: Request, work: Work) -> MemberService:
    return MemberService(work, request.state.platform.cursors)


async def _invitations(request: Request) -> InvitationService:
    service: InvitationService = request.state.invitations
    return service


async def _acceptances(request: Request) -> AcceptanceService:
    service: AcceptanceService = request.state.acceptances
    return service


Accounts = Annotated[AccountService, Depends(_accounts)]
Logins = Annotated[LoginService, Depends(_logins)]
Sessions = Annotated[SessionUseCases, Depends(_sessions)]
Tokens = Annotated[TokenService, Depends(_tokens)]
ApiKeys = Annotated[ApiKeyService, Depends(_api_keys)]
Users = Annotated[UserAdministration, Depends(_users)]
Members = Annotated[MemberService, Depends(_members)]
Invitations = Annotated[InvitationService, Depends(_invitations)]
Acceptances = Annotated[AcceptanceService, Depends(_acceptances)]
