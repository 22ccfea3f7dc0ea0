"""What answers a question reaches the model: a part of `make eval`, held to what was promised."""

import httpx
import pytest

from bench.evaluation.reach import documents, plain, reached, stored, usual
from tests.fixtures.identity import User

PARAGRAPHS = [
    {"id": f"{name}-{at}", "text": paragraph}
    for name, text in documents().items()
    for at, paragraph in enumerate(text.split("<h2>" if name.endswith("html") else "\n\n"))
]
WHOLE = [{"id": name, "text": plain(text)} for name, text in documents().items()]


@pytest.mark.parametrize(("items", "least"), [(PARAGRAPHS, 39), (WHOLE, 34)])
async def test_the_answering_sentence_is_in_the_prompt(
    client: httpx.AsyncClient, user: User, items: list[dict[str, str]], least: int
) -> None:
    client.timeout = httpx.Timeout(120)

    async with stored(client, items, "qdrant") as collection:
        found = await reached(client, user.token, [collection], usual())

    assert found.questions == 40
    assert found.reach >= least, found.missed
