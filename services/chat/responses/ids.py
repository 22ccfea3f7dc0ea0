"""Ids of responses and of what they say, which follow from the run: the same in every repetition."""

from typing import Annotated, Final
from uuid import UUID

from pydantic import AfterValidator, Field

from services.chat.items import ids

RESPONSE: Final = "resp_"

ResponseId = Annotated[
    str,
    Field(
        pattern=rf"^{RESPONSE}{ids.UUID_PATTERN}$",
        description="`resp_` and the id of the run",
        examples=["resp_01890a5d-ac96-774b-bcce-b302099a8057"],
    ),
    AfterValidator(ids.bare),
]
"""Of a response; what is read of it is the id of its run."""


def response_name(run_id: str) -> str:
    """The id of a response, as OpenAI's clients are told it."""
    return RESPONSE + run_id


def output_id(prefix: str, run_id: str, place: int) -> str:
    """The id of the item that the run says at this place: the run's but for its end, so that it tells the time as all
    ids do, and the run is found by it (`repository.py`)."""
    return f"{prefix}{UUID(int=UUID(run_id).int ^ (place + 1))}"
