"""Opens what auth runs on, in order, and closes it in reverse."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypedDict

from fastapi import FastAPI

from services.auth.accounts.passwords import Passwords, open_passwords
from services.auth.accounts.service import ensure_admin
from services.auth.api_keys.exchange import LocalApiKeys
from services.auth.api_keys.format import ApiKeyFormat
from services.auth.settings import Settings
from services.auth.tokens.issuer import TokenIssuer
from services.auth.tokens.keys import KeyRing
from shared.db import Database, open_database
from shared.platform import Platform, open_platform


class State(TypedDict):
    """What requests find on `request.state`."""

    platform: Platform
    database: Database
    passwords: Passwords
    keys: KeyRing
    issuer: TokenIssuer
    api_key_format: ApiKeyFormat
    local_api_keys: LocalApiKeys


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    settings: Settings = app.state.settings
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings.database_url.get_secret_value(), settings.database_name, MIGRATIONS)
        )
        app.state.health.add("postgres", database.ping)
        passwords = stack.enter_context(open_passwords(settings))
        keys = await KeyRing.load(database, settings.key_encryption_key.get_secret_value())
        issuer = TokenIssuer(keys, settings)
        api_key_format = ApiKeyFormat(settings.api_key_pepper.get_secret_value())
        await ensure_admin(database, passwords, settings.admin_email, settings.admin_password.get_secret_value())
        local_api_keys = LocalApiKeys(database, api_key_format, issuer)
        platform = await stack.enter_async_context(open_platform(app, keys=keys, api_keys=local_api_keys))
        yield State(
            platform=platform,
            database=database,
            passwords=passwords,
            keys=keys,
            issuer=issuer,
            api_key_format=api_key_format,
            local_api_keys=local_api_keys,
        )


MIGRATIONS = Path(__file__).parent / "migrations"
