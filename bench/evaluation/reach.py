"""Whether what answers a question reaches the model: forty questions about six documents, written for this.

They are in German, Chinese, Japanese, Arabic, Hindi, and an English page of HTML; each has 1,500 to 5,000 characters
and answers six or seven questions, mostly in the middle of a paragraph. Counted is the answering sentence: whether it
stands in the first passage found, in one of the first four, and, which is what matters, in the prompt.
"""

import html
import json
import re
import secrets
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from services.chat.adapters.vectors_knowledge import VectorsKnowledge
from services.chat.domain import Agent, Evidence
from services.chat.past import Past
from services.chat.prompt import PromptBudget, build_prompt
from services.chat.retrieval import Retriever
from services.chat.settings import Settings
from shared.calls import ServiceClient
from shared.discovery import StaticDiscovery
from shared.telemetry import Metrics

_FOLDER: Final = Path(__file__).with_name("reach")
_API: Final = "/api/v1/vectors"
_SEARCH_SECONDS: Final = 60
_TAG: Final = re.compile(r"<[^>]+>")
_INSTRUCTIONS: Final = "Answer in one sentence."


@dataclass(frozen=True)
class Question:
    """`sentence` stands in `document` and answers it; an answer that is right holds `fact`."""

    document: str
    question: str
    sentence: str
    fact: str


@dataclass(frozen=True)
class Reached:
    """Of `questions`, for how many the sentence was found first, among the first four, and given to the model."""

    questions: int
    first: int
    among_four: int
    reach: int
    missed: tuple[str, ...]


@dataclass(frozen=True)
class Answered:
    """Of `questions`: whose answer holds the fact, whose answer or citations do, and of what it cites how much does."""

    questions: int
    facts: int
    facts_or_sources: int
    cited: int
    cited_rightly: int


def usual() -> Settings:
    """What chat does where nothing is set."""
    return Settings.model_construct()  # what has no default is of no concern here


def questions() -> list[Question]:
    return [Question(**one) for one in json.loads((_FOLDER / "questions.json").read_text())]


def documents() -> dict[str, str]:
    """Their texts by name."""
    return {path.name: path.read_text() for path in sorted(_FOLDER.glob("*.*")) if path.suffix != ".json"}


def plain(text: str) -> str:
    """A text as a reader sees it: no tags, no line ends."""
    return " ".join(html.unescape(_TAG.sub("", text)).split())


async def reached(client: httpx.AsyncClient, token: str, collections: Sequence[str], settings: Settings) -> Reached:
    """Search `collections` for every question and make the prompt, as chat does with `settings`.

    `client` reaches vectors, `token` is of whoever stored them.
    """
    agent = Agent("", _INSTRUCTIONS, None, tuple(collections))
    budget, rows = PromptBudget.of(settings), []
    knowledge = VectorsKnowledge(_calls(client), _SEARCH_SECONDS)
    retriever = Retriever(knowledge, settings.passages_per_collection, _SEARCH_SECONDS)
    for one in questions():
        found = await retriever.retrieve(agent, one.question, token=token)
        prompt = build_prompt(agent, one.question, found.passages, Past(), budget)
        rows.append((one, found, any(one.sentence in plain(source.text) for source in prompt.sources)))
    return Reached(
        questions=len(rows),
        first=sum(_stands(one, found, 1) for one, found, _ in rows),
        among_four=sum(_stands(one, found, 4) for one, found, _ in rows),
        reach=sum(is_given for _, _, is_given in rows),
        missed=tuple(one.question for one, _, is_given in rows if not is_given),
    )


async def answered(client: httpx.AsyncClient, collections: Sequence[str]) -> Answered:
    """Ask an agent that knows `collections` every question, through the gateway that `client` reaches."""
    body = {"name": f"Reader {secrets.token_hex(4)}", "instructions": _INSTRUCTIONS, "knowledge": list(collections)}
    agent_id = (await client.post("/api/v1/agents/create", json=body)).raise_for_status().json()["id"]
    rows = []
    for one in questions():
        body = {"agent_id": agent_id, "content": one.question}
        message = (await client.post("/api/v1/chat/message", json=body)).raise_for_status().json()["message"]
        rows.append((one, message["content"], message["citations"]))
    named = [(one, plain(cited["text"])) for one, _, all_cited in rows for cited in all_cited if cited["referenced"]]
    return Answered(
        questions=len(rows),
        facts=sum(one.fact in content for one, content, _ in rows),
        facts_or_sources=sum(
            one.fact in content or any(one.sentence in plain(source["text"]) for source in sources)
            for one, content, sources in rows
        ),
        cited=len(named),
        cited_rightly=sum(one.sentence in text for one, text in named),
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


def _stands(one: Question, found: Evidence, among: int) -> bool:
    return any(one.sentence in plain(passage.text) for passage in found.passages[:among])


def _calls(client: httpx.AsyncClient) -> ServiceClient:
    return ServiceClient(StaticDiscovery({"vectors": str(client.base_url).rstrip("/")}), client, Metrics())
