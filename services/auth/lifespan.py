"""Opens what auth runs on, in order, and closes it in reverse."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypedDict

from fastapi import FastAPI

from services.auth.adapters.mail import mailer_for
from services.auth.entry.api_keys.exchange import LocalApiKeys
from services.auth.entry.api_keys.hashing import KeyHasher
from services.auth.entry.api_keys.last_used import LastUsed
from services.auth.entry.clients.registry import ServiceClients
from services.auth.entry.issuing.issuer import TokenIssuer
from services.auth.entry.logins.service import LoginService
from services.auth.entry.sessions.service import Sessions
from services.auth.entry.tokens.service import TokenService
from services.auth.housekeeping import Housekeeping
from services.auth.membership.invitations.acceptance import AcceptanceService
from services.auth.membership.invitations.service import InvitationService
from services.auth.models import OutboxRow
from services.auth.people.accounts.service import AccountService, ensure_admin
from services.auth.people.passwords.hashing import open_passwords
from services.auth.settings import Settings
from services.auth.trust.audit.log import AuditLog
from services.auth.trust.audit.service import AuditService
from services.auth.trust.changes.service import AccessChanges
from services.auth.trust.signing.ring import KeyRing
from services.auth.trust.work import Works
from shared.identity import RevocationFeed, followed
from shared.loops import in_background
from shared.messages import Publisher, declare_events, open_connection
from shared.platform import Platform, Trust, open_platform
from shared.postgres import Database, Outbox, OutboxRelay, open_database

MIGRATIONS = Path(__file__).parent / "migrations"


class State(TypedDict):
    """What requests find on `request.state`."""

    platform: Platform
    works: Works
    keys: KeyRing
    changes: AccessChanges
    audit: AuditService
    accounts: AccountService
    logins: LoginService
    sessions: Sessions
    tokens: TokenService
    invitations: InvitationService
    acceptances: AcceptanceService
    key_hasher: KeyHasher
    local_api_keys: LocalApiKeys
    housekeeping: Housekeeping


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    settings: Settings = app.state.settings
    mailer = mailer_for(settings.mail_url.get_secret_value() if settings.mail_url else None, settings.mail_from)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings.database_url.get_secret_value(), settings.database_name, MIGRATIONS)
        )
        app.state.health.add("postgres", database.ping)
        keys = await KeyRing(database, settings.key_encryption_key.get_secret_value()).load()
        changes = AccessChanges(database, keys)
        feed = RevocationFeed(changes, keys)
        await stack.enter_async_context(
            followed(feed, rabbitmq_url=settings.rabbitmq_url.get_secret_value(), listener="auth")
        )
        outbox = await _open_outbox(app, database, stack)
        works = Works(database, AuditLog(settings.audit_key.get_secret_value()), outbox, feed.revocations)
        passwords = stack.enter_context(open_passwords(settings))
        await ensure_admin(works, passwords, settings.admin_email, settings.admin_password.get_secret_value())

        issuer = TokenIssuer(keys, settings)
        last_used = LastUsed(database)
        hasher = KeyHasher(settings.api_key_pepper.get_secret_value())
        local_api_keys = LocalApiKeys(database, hasher, issuer, last_used)
        housekeeping = Housekeeping(works, last_used)
        stack.push_async_callback(housekeeping.round)
        await stack.enter_async_context(in_background(housekeeping.run()))
        platform = await stack.enter_async_context(open_platform(app, trust=Trust(keys, local_api_keys, feed)))
        accounts = AccountService(works, passwords, issuer)
        logins = LoginService(works, passwords, issuer, settings.refresh_token_seconds)
        clients = ServiceClients(settings.service_client_secrets)
        yield State(
            platform=platform,
            works=works,
            keys=keys,
            changes=changes,
            audit=AuditService(database, platform.cursors),
            accounts=accounts,
            logins=logins,
            sessions=Sessions(works, issuer),
            tokens=TokenService(works, issuer, clients, local_api_keys, platform.verifier),
            invitations=InvitationService(works, mailer, platform.cursors, settings.public_url),
            acceptances=AcceptanceService(works, logins, accounts),
            key_hasher=hasher,
            local_api_keys=local_api_keys,
            housekeeping=housekeeping,
        )


async def _open_outbox(app: FastAPI, database: Database, stack: AsyncExitStack) -> Outbox:
    """Events are written with the change they tell of, and published by this process or another."""
    settings: Settings = app.state.settings
    broker = await stack.enter_async_context(
        open_connection(settings.rabbitmq_url.get_secret_value(), "auth publisher")
    )
    app.state.health.add("rabbitmq", broker.ping, hard=False)  # without it revocations are heard of by asking
    outbox = Outbox(OutboxRow)
    relay = OutboxRelay(database, outbox, Publisher(broker, declare_events))
    await stack.enter_async_context(in_background(relay.run()))
    return outbox
