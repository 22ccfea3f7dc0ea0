"""What is written of a file's content is, byte for byte, what its model is serialized to, and holds nobody up."""

import asyncio
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from services.vectors.domain import MAX_ANSWER_BYTES
from services.vectors.stores.answers import content_of, written
from services.vectors.stores.search_schemas import FileContent, TextPart
from tests.unit.vectors.test_search_answers import LONGEST_SECONDS, TEXTS, TRIES, busiest_step

CHUNK: Final = "x" * 800


@given(st.lists(TEXTS, max_size=4))
def test_content_is_written_as_its_model(texts: list[str]) -> None:
    assert written(texts) == FileContent(data=[TextPart(text=one) for one in texts]).model_dump_json().encode()


async def test_no_content_holds_up_the_loop() -> None:
    texts, steps = [CHUNK] * (MAX_ANSWER_BYTES // len(CHUNK)), []
    for _ in range(TRIES):
        answering = asyncio.create_task(content_of(texts))
        steps.append(await busiest_step(answering))
        assert len(answering.result().body) > MAX_ANSWER_BYTES

    assert min(steps) < LONGEST_SECONDS
