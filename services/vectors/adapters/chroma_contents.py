"""What ChromaDB keeps of some records, asked for in answers of a few megabytes.

It answers with all that is asked for, in one piece, and with its metadata come the terms that filters ask for. So what
is long is asked for a few records at a time, as many as those before were long; a part that turns out to be longer is
not read, but asked for again in smaller ones.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

import orjson

from services.vectors.adapters.chroma_api import ChromaApi, LongAnswer
from services.vectors.adapters.chroma_metadata import content_of
from services.vectors.domain import MAX_ANSWER_BYTES
from services.vectors.room import Room

_FIRST: Final = 64  # records, of which nothing is known yet
_MOST: Final = 500
_AIM_BYTES: Final = 2 * 2**20  # read in ten milliseconds
_PART_BYTES: Final = 2 * _AIM_BYTES

Answer = Mapping[str, Any]
Content = tuple[str | None, dict[str, Any]]


def contents_of(answer: Answer, room: Room) -> list[Content]:
    """Text and metadata of each record; takes of `room` what they hold. Raises AnswerTooLarge."""
    contents: list[Content] = []
    for text, metadata in map(content_of, answer["documents"], answer["metadatas"]):
        room.take(len((text or "").encode()) + len(metadata))
        contents.append((text, orjson.loads(metadata)))
    return contents


async def parts_of(
    api: ChromaApi, chroma_id: str, ids: Sequence[str], include: Sequence[str], where: Mapping[str, Any] | None = None
) -> AsyncIterator[Answer]:
    """Of those of `ids` that are there and meet `where` what is to `include`, some at a time; in the order of neither.

    Raises LongAnswer, which is an AnswerTooLarge, for a record that is longer alone.
    """
    at, number = 0, _FIRST
    while at < len(ids):
        some = ids[at : at + number]
        try:
            answer, length = await api.get(
                chroma_id, some, include, where, most_bytes=_PART_BYTES if len(some) > 1 else MAX_ANSWER_BYTES
            )
        except LongAnswer as error:
            if len(some) == 1:
                raise
            number = min(_fitting(len(some), error.length), len(some) // 2)
            continue
        yield answer
        at += len(some)
        number = min(_fitting(len(some), length), 4 * number, _MOST)


def _fitting(records: int, length: int) -> int:
    return max(1, records * _AIM_BYTES // max(1, length))
