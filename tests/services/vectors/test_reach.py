"""What answers a question reaches the model: a part of `make eval`, held to what was promised."""

import httpx
import pytest

from bench.evaluation.questions import documents, plain
from bench.evaluation.reach import reached, stored, usual
from tests.fixtures.identity import User

PARAGRAPHS = [
    {"id": f"{name}-{at}", "text": paragraph}
    for name, text in documents().items()
    for at, paragraph in enumerate(text.split("<h2>" if name.endswith("html") else "\n\n"))
]
WHOLE = [{"id": name, "text": plain(text)} for name, text in documents().items()]


@pytest.mark.parametrize(
    ("items", "least", "least_quoted"), [(PARAGRAPHS, 39, 30), (WHOLE, 34, 26)], ids=["paragraphs", "whole"]
)
async def test_the_answering_sentence_is_in_the_prompt(
    client: httpx.AsyncClient, user: User, items: list[dict[str, str]], least: int, least_quoted: int
) -> None:
    client.timeout = httpx.Timeout(120)

    async with stored(client, items, "qdrant") as collection:
        found = await reached(client, user.token, [collection], usual())

    assert found.questions == 40
    assert found.reach >= least, found.missed
    assert found.quoted >= least_quoted
