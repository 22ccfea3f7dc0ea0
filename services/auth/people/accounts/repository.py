"""Every statement about users and their own tenants."""

from datetime import UTC, datetime

from sqlalchemy import Select, Text, bindparam, func, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.errors import EmailTaken, UserNotFound
from services.auth.models import DISPLACED, Membership, Tenant, User
from services.auth.people.accounts.domain import NewAccount
from services.auth.people.accounts.principal import Principal
from services.auth.trust.scopes import Role
from shared.errors import Unauthenticated
from shared.schemas import new_id


class AccountRepository:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def create(self, account: NewAccount, password_hash: str, *, is_proved: bool, is_admin: bool = False) -> None:
        """Keep the user, as the owner of a tenant of their own; `is_proved` when the mailbox is theirs for certain.

        Raises EmailTaken; then nothing is changed, and the transaction goes on.
        """
        values = {
            "id": account.id,
            "tenant_id": account.tenant_id,
            "email": account.email,
            "name": account.name,
            "password_hash": password_hash,
            "is_admin": is_admin,
            "created_at": account.created_at,
            "email_verified_at": account.created_at if is_proved else None,
            "tenant_name": account.tenant_name,
            "role": Role.OWNER,
        }
        if await self._session.scalar(_CREATE, values) is None:
            raise EmailTaken

    async def move_home(self, user: User) -> None:
        """Give the user a new tenant of their own, as at registration; it is where they act from now on."""
        tenant = await self._add_tenant(user.name or user.email)
        user.tenant_id = tenant.id
        await self._touch(user)
        await self._add_owner(tenant, user)

    async def _add_tenant(self, name: str) -> Tenant:
        tenant = Tenant(id=new_id(), name=name, created_at=datetime.now(UTC))
        self._session.add(tenant)
        await self._session.flush()
        return tenant

    async def _add_owner(self, tenant: Tenant, user: User) -> None:
        self._session.add(
            Membership(tenant_id=tenant.id, user_id=user.id, role=Role.OWNER, created_at=tenant.created_at)
        )
        await self._session.flush()

    async def find_by_email(self, email: str) -> User | None:
        return await self._session.scalar(select(User).where(User.email == email))

    async def find_told(self, user_id: str) -> User | None:
        """Whom letters about this account reach for certain: enabled, and the address is proved."""
        return await self._session.scalar(
            select(User).where(User.id == user_id, User.disabled_at.is_(None), User.email_verified_at.is_not(None))
        )

    async def find_by_email_with_role(self, email: str, tenant_id: str | None) -> tuple[User, Role | None] | None:
        """The user and their role in the tenant, their own when None; the role is None where they do not belong."""
        found = (await self._session.execute(_BY_EMAIL, {"email": email, "tenant_id": tenant_id})).one_or_none()
        return (found[0], Role(found[1]) if found[1] else None) if found else None

    async def find_principal(self, user_id: str, tenant_id: str) -> Principal | None:
        """An enabled user who belongs to the tenant."""
        return await self._find(_ENABLED, user_id, tenant_id)

    async def hold_principal(self, user_id: str, tenant_id: str) -> Principal | None:
        """As `find_principal`, for giving out a token inside this transaction.

        Whoever disables the user or changes their role waits for it, so the token is older than the revocation that is
        to end it.
        """
        return await self._find(_HELD, user_id, tenant_id)

    async def _find(self, statement: Select[User, str, datetime], user_id: str, tenant_id: str) -> Principal | None:
        found = (await self._session.execute(statement, {"user_id": user_id, "tenant_id": tenant_id})).one_or_none()
        return Principal(found[0], tenant_id, Role(found[1]), found[2]) if found else None

    async def get_locked(self, user_id: str) -> User:
        """The user, for whom others wait until the transaction ends. Raises UserNotFound."""
        statement = select(User).where(User.id == user_id).with_for_update(key_share=True)
        user = await self._session.scalar(statement.execution_options(populate_existing=True))
        if user is None:
            raise UserNotFound
        return user

    async def get_principal(self, user_id: str, tenant_id: str) -> Principal:
        """Raises Unauthenticated: a valid token of a user who is gone, disabled or left identifies nobody."""
        principal = await self.find_principal(user_id, tenant_id)
        if principal is None:
            raise Unauthenticated
        return principal

    async def rename(self, user: User, name: str | None) -> None:
        user.name = name
        await self._touch(user)

    async def prove_address(self, user: User) -> None:
        """The mailbox is theirs, from the first time it was shown on."""
        if user.email_verified_at is None:
            user.email_verified_at = datetime.now(UTC)
            await self._touch(user)

    async def move_address(self, user: User, email: str) -> None:
        """Another address, which is proved. Raises EmailTaken; then the transaction must not go on."""
        user.email, user.email_verified_at = email, datetime.now(UTC)
        try:
            await self._touch(user)
        except IntegrityError as error:
            raise EmailTaken from error

    async def displace(self, user: User) -> None:
        """Take the address away, which is free then, and the account with it: nobody can spell what it is called."""
        user.email, user.disabled_at = DISPLACED + user.id, datetime.now(UTC)
        await self._touch(user)

    async def replace_password_hash(self, user: User, password_hash: str) -> None:
        user.password_hash = password_hash
        await self._touch(user)

    async def keep_renewed_hash(self, user_id: str, old_hash: str, new_hash: str) -> None:
        """The same password under newer parameters, unless the password was changed meanwhile."""
        await self._session.execute(
            update(User).where(User.id == user_id, User.password_hash == old_hash).values(password_hash=new_hash)
        )

    async def _touch(self, user: User) -> None:
        user.version += 1
        user.updated_at = datetime.now(UTC)
        await self._session.flush()


# One round trip and no error of the driver, so that a taken address costs what a free one does. The foreign keys are
# looked at when all of it is done.
_CREATE = text("""
    WITH made AS (
        INSERT INTO user_account
            (id, tenant_id, email, name, password_hash, is_admin, version, created_at, updated_at, email_verified_at)
        VALUES (:id, :tenant_id, :email, :name, :password_hash, :is_admin, 1, :created_at, :created_at,
            CAST(:email_verified_at AS timestamptz))
        ON CONFLICT (email) DO NOTHING
        RETURNING id, tenant_id, created_at
    ), home AS (
        INSERT INTO tenant (id, name, created_at) SELECT tenant_id, CAST(:tenant_name AS text), created_at FROM made
    ), owner AS (
        INSERT INTO membership (tenant_id, user_id, role, created_at)
        SELECT tenant_id, id, CAST(:role AS text), created_at FROM made
    )
    SELECT id FROM made
""")

# Made once: every login and every API key's exchange asks, and making a statement takes longer than asking.
_TENANT = bindparam("tenant_id", type_=Text)
_BY_EMAIL = (
    select(User, Membership.role)
    .outerjoin(
        Membership,
        (Membership.user_id == User.id) & (Membership.tenant_id == func.coalesce(_TENANT, User.tenant_id)),
    )
    .where(User.email == bindparam("email"))
)
_ENABLED = (
    select(User, Membership.role, func.clock_timestamp())  # after a wait for its rows, where they are to be held
    .join(Membership, Membership.user_id == User.id)
    .where(User.id == bindparam("user_id"), User.disabled_at.is_(None), Membership.tenant_id == _TENANT)
)
_HELD = _ENABLED.with_for_update(read=True, of=[User, Membership])
