"""Pages of lists as OpenAI's clients ask for them."""

from collections.abc import Sequence
from typing import TypeVar

from services.vectors.stores.domain import Span
from shared.openai import Listed
from shared.schemas import ResponseModel


class Identified(ResponseModel):
    """What stands in a list."""

    id: str


Item = TypeVar("Item", bound=Identified)


def page_of(found: Sequence[Item], span: Span) -> Listed[Item]:
    """Of what was `found` of `span`, whose limit is one more than a page has. Before a place, the one more is first."""
    most = span.limit - 1
    if span.before is None or len(found) <= most:
        return listed(found, most)
    return listed(found[1:], most).model_copy(update={"has_more": True})


def listed(found: Sequence[Item], limit: int) -> Listed[Item]:
    """Of what was `found`, which is one more than `limit` where others follow."""
    data = list(found[:limit])
    return Listed(
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=len(found) > limit,
    )
