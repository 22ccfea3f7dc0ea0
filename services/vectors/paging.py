"""Pages of lists as OpenAI's clients ask for them."""

from collections.abc import Sequence
from typing import TypeVar

from shared.openai import Listed
from shared.schemas import ResponseModel


class Identified(ResponseModel):
    """What stands in a list."""

    id: str


Item = TypeVar("Item", bound=Identified)


def listed(found: Sequence[Item], limit: int) -> Listed[Item]:
    """Of what was `found`, which is one more than `limit` where others follow."""
    data = list(found[:limit])
    return Listed(
        data=data,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
        has_more=len(found) > limit,
    )
