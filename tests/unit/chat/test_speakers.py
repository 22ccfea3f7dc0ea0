"""Who answers a question, and with which model."""

from collections.abc import Sequence

import pytest

from services.chat.dialogue.speakers import Speakers
from services.chat.domain import Agent
from services.chat.models.catalogue import Catalogue
from services.chat.models.choice import Choice
from services.chat.models.domain import Offer
from services.chat.models.shelf import Shelf
from services.chat.settings import Settings
from shared.identity import Caller
from tests.architecture.apps import ENVIRONMENT

ADA = Caller("ada", "acme", frozenset({"agents:read"}), "1", issued_at=0, expires_at=1, token="t")


class OneAgent:
    """A directory with an agent that names no model."""

    async def get(self, agent_id: str, *, token: str) -> Agent:
        return Agent("a", "", None, ())

    async def find_named(self, name: str, *, token: str) -> Agent | None:
        return Agent("a", "", None, (), name=name)

    async def list_newest(self, most: int, *, token: str) -> tuple[list[Agent], bool]:
        return [], False

    async def delegates_of(self, agent_id: str, *, token: str) -> dict[str, str]:
        return {}


async def test_an_agent_without_a_model_has_the_default_of_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """`LLM_MODEL` may change while the service runs, and changes for all doors."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    async def read() -> Sequence[Offer]:
        return [Offer("small"), Offer("big")]

    catalogue = Catalogue([Shelf("default", read)], default_model="small", answer_tokens=512)
    choice = Choice(catalogue, Settings(llm_model="small"))
    speakers = Speakers(OneAgent(), choice, catalogue)

    before = (await speakers.find(ADA, "support"))[1].model.name
    await choice.use("big")
    agent, after = await speakers.find(ADA, "support")

    assert (before, after.model.name, agent.model) == ("small", "big", "big")
