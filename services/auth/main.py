"""The auth service: accounts, tokens and API keys."""

from fastapi import FastAPI

from services.auth.administration.endpoints import router as administration
from services.auth.entry.api_keys.endpoints import internal as api_keys_internal
from services.auth.entry.api_keys.endpoints import minting
from services.auth.entry.api_keys.endpoints import router as api_keys
from services.auth.entry.passwords.endpoints import forgetting
from services.auth.entry.passwords.endpoints import router as passwords
from services.auth.entry.proofs.endpoints import proving
from services.auth.entry.proofs.endpoints import router as proofs
from services.auth.entry.tokens.endpoints import internal as tokens_internal
from services.auth.entry.tokens.endpoints import router as tokens
from services.auth.lifespan import lifespan
from services.auth.membership.invitations.endpoints import creating as inviting
from services.auth.membership.invitations.endpoints import joining
from services.auth.membership.invitations.endpoints import router as invitations
from services.auth.membership.members.endpoints import router as members
from services.auth.people.accounts.endpoints import registering
from services.auth.people.accounts.endpoints import router as accounts
from services.auth.settings import Settings
from services.auth.trust.audit.endpoints import of_tenant as tenant_audit
from services.auth.trust.audit.endpoints import router as audit
from services.auth.trust.changes.endpoints import internal as access_internal
from services.auth.trust.signing.endpoints import router as signing
from services.auth.trust.signing.endpoints import well_known
from shared.web import create_service


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app, from `settings` or the environment."""
    return create_service(
        "auth",
        settings or Settings(),
        title="SutazAI auth",
        description="Accounts and tenants, access and refresh tokens, API keys, and the keys that verify them all.",
        tags={
            "accounts": "Who one is: registering, profile, password, address.",
            "tokens": "Access and refresh tokens, and the keys that verify them (OAuth 2).",
            "api keys": "Keys for programs.",
            "members": "Who belongs to a tenant, and who is invited.",
            "administration": "Users of all tenants, and the audit log.",
        },
        lifespan=lifespan,
        routers=[
            registering,
            accounts,
            passwords,
            forgetting,
            proving,
            proofs,
            tokens,
            signing,
            minting,
            api_keys,
            members,
            inviting,
            invitations,
            joining,
            administration,
            audit,
            tenant_audit,
            well_known,
            tokens_internal,
            api_keys_internal,
            access_internal,
        ],
    )
