"""What the model makes of what it is given: whether its answers hold the fact, cite what does, and end."""

import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from bench.evaluation.questions import INSTRUCTIONS, Question, plain

ALL: Final = "all"


@dataclass(frozen=True)
class Answer:
    """To `asked`: what it says, the texts it was given, and those of them that it cites; `model` is None of a failure.

    It `ended` by itself when it was not cut at its limit.
    """

    asked: Question
    model: str | None = None
    content: str = ""
    given: tuple[str, ...] = ()
    cited: tuple[str, ...] = ()
    ended: bool = False

    @property
    def holds_the_fact(self) -> bool:
        return self.model is not None and self.asked.fact in self.content

    @property
    def cited_rightly(self) -> int:
        """How many of what it cites hold the sentence that answers."""
        return sum(self.asked.sentence in text for text in self.cited)

    @property
    def carries_the_fact(self) -> bool:
        """By itself, or by a passage that it comes with."""
        return self.holds_the_fact or any(self.asked.sentence in text for text in self.given)


@dataclass(frozen=True)
class Answered:
    """Of `questions`: whose answer holds the fact, whose answer or passages do, how many ended and how many failed.

    Citation precision is `cited_rightly` of `cited`.
    """

    questions: int
    facts: int
    carried: int
    ended: int
    failed: int
    cited: int
    cited_rightly: int

    @classmethod
    def of(cls, answers: Sequence[Answer]) -> "Answered":
        return cls(
            questions=len(answers),
            facts=sum(one.holds_the_fact for one in answers),
            carried=sum(one.carries_the_fact for one in answers),
            ended=sum(one.ended for one in answers),
            failed=sum(one.model is None for one in answers),
            cited=sum(len(one.cited) for one in answers),
            cited_rightly=sum(one.cited_rightly for one in answers),
        )

    def __str__(self) -> str:
        of = self.questions
        figures = [
            f"fact {self.facts}/{of}",
            f"or in its passages {self.carried}/{of}",
            f"citation precision {self.cited_rightly}/{self.cited}",
            f"ended {self.ended}/{of}",
        ]
        return "   ".join(figures + ([f"failed {self.failed}"] if self.failed else []))


def by_document(answers: Iterable[Answer]) -> Mapping[str, Answered]:
    """Of each document, and of all of them."""
    groups = defaultdict[str, list[Answer]](list)
    for one in answers:
        groups[one.asked.document].append(one)
        groups[ALL].append(one)
    return {name: Answered.of(group) for name, group in groups.items()}


async def answers_to(
    client: httpx.AsyncClient, collections: Sequence[str], questions: Sequence[Question]
) -> AsyncIterator[Answer]:
    """Ask an agent that knows `collections` each question, through the gateway that `client` reaches."""
    body = {"name": f"Reader {secrets.token_hex(4)}", "instructions": INSTRUCTIONS, "knowledge": list(collections)}
    agent = (await client.post("/api/v1/agents/create", json=body)).raise_for_status().json()
    for one in questions:
        yield await _answer(client, agent["id"], one)


async def _answer(client: httpx.AsyncClient, agent_id: str, one: Question) -> Answer:
    """What fails is counted: a model that is too slow for one question may answer the next."""
    reply = await client.post("/api/v1/chat/message", json={"agent_id": agent_id, "content": one.question})
    if reply.is_error:
        return Answer(one)
    said: dict[str, Any] = reply.json()
    citations = said["message"]["citations"]
    return Answer(
        one,
        model=said["model"],
        content=said["message"]["content"],
        given=tuple(plain(source["text"]) for source in citations),
        cited=tuple(plain(source["text"]) for source in citations if source["referenced"]),
        ended=said["finish_reason"] == "stop",
    )
