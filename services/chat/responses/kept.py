"""What is kept of a response's request with its run: what the response shows of it, and all that was said before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from services.chat.domain import Message
from services.chat.storage import message_from, message_members


@dataclass(frozen=True, slots=True)
class Kept:
    """`messages` are those that it goes on from, and then its own input, oldest first."""

    asked: Mapping[str, Any]
    messages: Sequence[Message]
    shows_results: bool = False
    """Whether calls of `file_search` show what they found."""


def kept_bytes(kept: Kept) -> bytes:
    members = {"asked": kept.asked, "messages": [message_members(one) for one in kept.messages]}
    return orjson.dumps(members | {"shows_results": kept.shows_results})


def kept_from(stored: bytes) -> Kept:
    members = orjson.loads(stored)
    messages = [message_from(orjson.dumps(one)) for one in members["messages"]]
    return Kept(members["asked"], messages, members.get("shows_results", False))
