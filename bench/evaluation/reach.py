"""Whether what answers a question reaches the model.

Counted is the answering sentence: whether it stands in the first passage found, in one of the first four, and, which is
what matters, in the prompt.
"""

import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx

from bench.evaluation.questions import INSTRUCTIONS, Question, plain, questions
from services.chat.adapters.vectors_knowledge import VectorsKnowledge
from services.chat.domain import Agent, Evidence, Prompt
from services.chat.generation import Quote
from services.chat.past import Past
from services.chat.prompt import PromptBudget, build_prompt
from services.chat.quoting import quotes_from
from services.chat.retrieval import Retriever
from services.chat.settings import Settings
from shared.calls import ServiceClient
from shared.discovery import StaticDiscovery
from shared.telemetry import Metrics

_API: Final = "/api/v1/vectors"
_SEARCH_SECONDS: Final = 60


@dataclass(frozen=True)
class Reached:
    """Of `questions`, for how many the sentence was found first, among the first four, and given to the model.

    `quoted` is for how many a model that is held to quoting says the fact.
    """

    questions: int
    first: int
    among_four: int
    reach: int
    quoted: int
    missed: tuple[str, ...]


def usual() -> Settings:
    """What chat does where nothing is set."""
    return Settings.model_construct()  # what has no default is of no concern here


async def reached(
    client: httpx.AsyncClient,
    token: str,
    collections: Sequence[str],
    settings: Settings,
    asked: Sequence[Question] | None = None,
) -> Reached:
    """Search `collections` for every question, the forty unless others are `asked`, and make the prompt as chat does.

    `client` reaches vectors, `token` is of whoever stored them.
    """
    agent = Agent("", INSTRUCTIONS, None, tuple(collections))
    budget, rows = PromptBudget.of(settings), []
    knowledge = VectorsKnowledge(_calls(client), _SEARCH_SECONDS)
    retriever = Retriever(knowledge, settings.passages_per_collection, _SEARCH_SECONDS)
    for one in questions() if asked is None else asked:
        found = await retriever.retrieve(agent, one.question, token=token)
        prompt = build_prompt(agent, one.question, found.passages, Past(), budget)
        is_given = any(one.sentence in plain(source.text) for source in prompt.sources)
        rows.append((one, found, is_given, one.fact in _quoted(one, prompt, settings)))
    return Reached(
        questions=len(rows),
        first=sum(_stands(one, found, 1) for one, found, _, _ in rows),
        among_four=sum(_stands(one, found, 4) for one, found, _, _ in rows),
        reach=sum(is_given for _, _, is_given, _ in rows),
        quoted=sum(is_quoted for _, _, _, is_quoted in rows),
        missed=tuple(one.question for one, _, is_given, _ in rows if not is_given),
    )


@asynccontextmanager
async def stored(client: httpx.AsyncClient, items: Iterable[dict[str, Any]], engine: str) -> AsyncIterator[str]:
    """A collection of `items`, deleted in the end."""
    name = f"reach-{secrets.token_hex(4)}"
    (await client.post(f"{_API}/collections", json={"name": name, "engine": engine})).raise_for_status()
    try:
        for item in items:
            (await client.post(f"{_API}/store", json={"collection": name, "items": [item]})).raise_for_status()
        yield name
    finally:
        await client.delete(f"{_API}/collections/{name}")


def _quoted(one: Question, prompt: Prompt, settings: Settings) -> str:
    sources = [Quote(source.number, source.text) for source in prompt.sources]
    return " ".join(quote.text for quote in quotes_from(sources, one.question, settings.prompt_vocabulary))


def _stands(one: Question, found: Evidence, among: int) -> bool:
    return any(one.sentence in plain(passage.text) for passage in found.passages[:among])


def _calls(client: httpx.AsyncClient) -> ServiceClient:
    return ServiceClient(StaticDiscovery({"vectors": str(client.base_url).rstrip("/")}), client, Metrics())
