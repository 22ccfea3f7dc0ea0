"""Shows what turns have used up."""

from datetime import date, timedelta

from services.chat.domain import Owner
from services.chat.keeping import KeptLimits
from services.chat.usage.counts import today
from services.chat.usage.domain import GroupBy, Row, Usage, Whose, group_of
from services.chat.usage.repository import UsageRepository
from shared.errors import Invalid
from shared.identity import Caller

_MAX_DAYS = 92
_USUAL_DAYS = 30
_MAX_ROWS = 1000
_MAX_HASHES = 20_000
_OF_THE_TENANT = "chat:tenant"


class UsageService:
    """The use cases of usage."""

    def __init__(self, repository: UsageRepository, limits: KeptLimits) -> None:
        self._repository, self._limits = repository, limits

    async def get(
        self, caller: Caller, *, first: date | None, last: date | None, group_by: GroupBy, whose: Whose
    ) -> Usage:
        """The usage of the days, both ends included, in groups: days in order, all else by falling tokens. And what is
        kept now.

        Raises MissingScope for the tenant's without `chat:tenant`, and Invalid for days that are none or too many.
        """
        if whose is Whose.TENANT:
            caller.require(_OF_THE_TENANT)
        last = last or max(today(), first or today())
        first = first or last - timedelta(days=_USUAL_DAYS - 1)
        rows = dict[str | None, Row]()
        async for day, owner, counts in self._repository.read(await self._wanted(caller, _days(first, last), whose)):
            for count in counts:
                group = group_of(group_by, day, owner.user_id, count)
                rows.setdefault(group, Row(group)).add(count)
        ordered = _ordered(list(rows.values()), group_by)
        is_tenants = whose is Whose.TENANT
        kept = await self._repository.kept_bytes(Owner.of(caller), of_tenant=is_tenants)
        limit = self._limits.tenant if is_tenants else self._limits.user
        return Usage(first, last, group_by, ordered[:_MAX_ROWS], len(ordered) > _MAX_ROWS, kept, limit)

    async def _wanted(self, caller: Caller, days: list[date], whose: Whose) -> list[tuple[date, Owner]]:
        if whose is Whose.OWN:
            return [(day, Owner.of(caller)) for day in days]
        wanted = await self._repository.users_of(caller.tenant_id, days)
        if len(wanted) > _MAX_HASHES:
            raise Invalid("These are too many users and days: ask for fewer days.", at=("query/from", "too_much"))
        return wanted


def _ordered(rows: list[Row], group_by: GroupBy) -> list[Row]:
    if group_by is GroupBy.DAY:
        return sorted(rows, key=lambda row: row.group or "")
    return sorted(rows, key=lambda row: (-row.tokens, -row.runs, row.group or ""))


def _days(first: date, last: date) -> list[date]:
    count = (last - first).days + 1
    if count < 1:
        raise Invalid("`from` lies after `to`.", at=("query/from", "out_of_order"))
    if count > _MAX_DAYS:
        raise Invalid(f"At most {_MAX_DAYS} days can be asked for at once.", at=("query/from", "too_many_days"))
    return [first + timedelta(days=number) for number in range(count)]
