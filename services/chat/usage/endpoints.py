"""`/chat/usage`."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from services.chat.dependencies import Reader, Usages
from services.chat.usage.domain import GroupBy, Whose
from services.chat.usage.schemas import UsageReportRead
from shared.door import GuardedRoute
from shared.errors import Invalid, responses

used = APIRouter(prefix="/api/v1/chat", tags=["usage"], route_class=GuardedRoute)
_FIRST, _LAST = date(2020, 1, 1), date(2999, 12, 31)  # of dates that can be meant

From = Annotated[
    date | None,
    Query(alias="from", ge=_FIRST, le=_LAST, description="the first day, in UTC; 30 days up to `to` when left out"),
]
To = Annotated[
    date | None, Query(alias="to", ge=_FIRST, le=_LAST, description="the last day, included; today when left out")
]


@used.get(
    "/usage",
    operation_id="chat_get_usage",
    summary="What was used up",
    response_model=UsageReportRead,
    responses=responses(Invalid),
)
async def get(
    caller: Reader,
    usages: Usages,
    first: From = None,
    last: To = None,
    group_by: Annotated[GroupBy, Query(description="by what it is put together")] = GroupBy.DAY,
    whose: Annotated[Whose, Query(description="`tenant`, everybody's, needs `chat:tenant` too")] = Whose.OWN,
) -> UsageReportRead:
    """Runs, tokens and cost of up to 92 days, in groups. A run counts for the day on which it began, once it has ended.

    `kept_bytes` is what one's conversations hold now, or all of the tenant's.
    Numbers are kept for 400 days, whatever becomes of the conversations.
    """
    usage = await usages.get(caller, first=first, last=last, group_by=group_by, whose=whose)
    return UsageReportRead.of(usage)
