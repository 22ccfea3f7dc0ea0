"""Opens what auth runs on, in order, and closes it in reverse; builds each service once."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypedDict

from fastapi import FastAPI

from services.auth.adapters.mail import mailer_for
from services.auth.administration.service import UserService
from services.auth.entry.api_keys.exchange import ExchangeService, LocalApiKeys
from services.auth.entry.api_keys.hashing import KeyHasher
from services.auth.entry.api_keys.last_used import LastUsed
from services.auth.entry.api_keys.service import ApiKeyService
from services.auth.entry.clients.registry import ServiceClients
from services.auth.entry.clients.service import ClientService
from services.auth.entry.issuing.issuer import TokenIssuer
from services.auth.entry.logins.service import LoginService
from services.auth.entry.passwords.current import CurrentPassword
from services.auth.entry.passwords.forgotten import ForgottenService
from services.auth.entry.passwords.service import PasswordService
from services.auth.entry.proofs.moving import MovingService
from services.auth.entry.proofs.service import ProofService
from services.auth.entry.sessions.refreshing import Refreshing
from services.auth.entry.sessions.service import SessionService
from services.auth.entry.sessions.successors import Successors
from services.auth.entry.tokens.grants import GrantService
from services.auth.entry.tokens.service import TokenService
from services.auth.housekeeping import Housekeeping
from services.auth.membership.invitations.acceptance import AcceptanceService
from services.auth.membership.invitations.service import InvitationService
from services.auth.membership.members.service import MemberService
from services.auth.models import ProbeRow
from services.auth.people.accounts.letters import RegistrationLetters
from services.auth.people.accounts.service import AccountService, ensure_admin
from services.auth.people.letters.post import open_post
from services.auth.people.notices.service import Notices
from services.auth.people.passwords.hashing import open_hasher
from services.auth.settings import Settings
from services.auth.trust.audit.service import AuditService
from services.auth.trust.changes.service import AccessChanges
from services.auth.trust.consumers import hearing
from services.auth.trust.opening import open_trust
from services.auth.trust.refusals import RefusalLog
from services.auth.trust.signing.ring import KeyRing
from shared.health import STORE_REMEDY
from shared.loops import in_background
from shared.platform import Platform, Trust, open_platform
from shared.postgres import DatabaseProbe, open_database

MIGRATIONS = Path(__file__).parent / "migrations"


class State(TypedDict):
    """What requests find on `request.state`."""

    platform: Platform
    keys: KeyRing
    changes: AccessChanges
    audit: AuditService
    refusals: RefusalLog
    accounts: AccountService
    passwords: PasswordService
    forgotten: ForgottenService
    proofs: ProofService
    moving: MovingService
    sessions: SessionService
    grants: GrantService
    tokens: TokenService
    api_keys: ApiKeyService
    local_api_keys: LocalApiKeys
    exchanges: ExchangeService
    members: MemberService
    invitations: InvitationService
    acceptances: AcceptanceService
    users: UserService
    housekeeping: Housekeeping


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    settings: Settings = app.state.settings
    mailer = mailer_for(settings.mail_url.get_secret_value() if settings.mail_url else None, settings.mail_from)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings.database_url.get_secret_value(), settings.database_name, MIGRATIONS)
        )
        probe = DatabaseProbe(database, ProbeRow, app.state.instance)
        app.state.health.add("postgres", probe.check, remedy=STORE_REMEDY)
        trust = await stack.enter_async_context(open_trust(app, database))
        works, keys = trust.works, trust.keys
        hasher = stack.enter_context(open_hasher(settings))
        await ensure_admin(works, hasher, settings.admin_email, settings.admin_password.get_secret_value())

        issuer = TokenIssuer(keys, settings)
        last_used = LastUsed(database)
        key_hasher = KeyHasher(settings.api_key_pepper.get_secret_value())
        local_api_keys = LocalApiKeys(database, key_hasher, issuer, last_used)
        housekeeping = Housekeeping(works, last_used)
        stack.push_async_callback(housekeeping.write)
        await stack.enter_async_context(in_background(housekeeping.run(), housekeeping.note()))
        platform = await stack.enter_async_context(open_platform(app, trust=Trust(keys, local_api_keys, trust.feed)))
        await stack.enter_async_context(hearing(works, settings.rabbitmq_url.get_secret_value()))
        cursors, public_url = platform.cursors, settings.public_url
        # Closed before what it writes with, and after whatever asks it to.
        post = await stack.enter_async_context(open_post(mailer, is_open=settings.has_mail))
        notices = Notices(works, post, public_url)
        current = CurrentPassword(works, hasher)
        logins = LoginService(
            works,
            hasher,
            issuer,
            settings.refresh_token_seconds,
            notices,
            before_proof=settings.login_before_proof or not settings.has_mail,
        )
        refreshing = Refreshing(works, issuer, Successors(settings.key_encryption_key.get_secret_value()))
        refusals = RefusalLog(works)
        exchanges = ExchangeService(local_api_keys, refusals)
        clients = ClientService(works, issuer, ServiceClients(settings.service_client_secrets), exchanges)
        yield State(
            platform=platform,
            keys=keys,
            changes=trust.changes,
            audit=AuditService(database, works, cursors),
            refusals=refusals,
            accounts=AccountService(works, hasher, RegistrationLetters(works, post, public_url)),
            passwords=PasswordService(works, hasher, current, notices),
            forgotten=ForgottenService(works, hasher, post, notices, public_url),
            proofs=ProofService(works, post, notices, public_url),
            moving=MovingService(works, current, post, public_url),
            sessions=SessionService(works),
            grants=GrantService(logins, refreshing, clients, app.state.storage),
            tokens=TokenService(works, issuer, platform.verifier, refusals),
            api_keys=ApiKeyService(works, key_hasher, cursors, notices),
            local_api_keys=local_api_keys,
            exchanges=exchanges,
            members=MemberService(works, cursors),
            invitations=InvitationService(works, mailer, cursors, public_url),
            acceptances=AcceptanceService(works, logins, hasher, refusals),
            users=UserService(works, cursors),
            housekeeping=housekeeping,
        )
