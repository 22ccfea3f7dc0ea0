"""Who is meant by `model`: an agent by its id, an agent by its name, or a model of a provider, in this order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from services.chat.dialogue.errors import ModelNotFound
from services.chat.domain import Agent
from services.chat.errors import AgentNotFound, ModelUnknown
from services.chat.models.catalogue import Catalogue
from services.chat.models.choice import Choice, Chosen
from services.chat.ports import AgentDirectory
from shared.identity import Caller

_AGENTS: Final = "agents:read"
_MOST_AGENTS: Final = 500


@dataclass(frozen=True, slots=True)
class Offered:
    """One that may be asked, as lists tell of it; a model of a provider has no id of an agent."""

    name: str
    owner: str
    agent_id: str | None = None
    created_at: datetime | None = None


class Speakers:
    """Those whom a caller may ask: their tenant's agents, where they may read them, and all models."""

    def __init__(self, agents: AgentDirectory, choice: Choice, catalogue: Catalogue) -> None:
        self._agents, self._choice, self._catalogue = agents, choice, catalogue

    async def find(self, caller: Caller, name: str) -> tuple[Agent, Chosen]:
        """Who answers, and with which model. Raises ModelNotFound, ModelUnknown for an agent's, ModelUnavailable, and
        what AgentDirectory raises."""
        if agent := await self._agent(caller, name):
            chosen = await self._choice.of(agent.model or self._choice.default_model)
            return replace(agent, model=chosen.model.name), chosen
        try:
            chosen = await self._choice.of(name)
        except ModelUnknown as error:
            raise ModelNotFound(name) from error
        return Agent("", "", chosen.model.name, ()), chosen

    async def _agent(self, caller: Caller, name: str) -> Agent | None:
        if _is_id(name):
            try:
                return await self._agents.get(name.lower(), token=caller.token)
            except AgentNotFound:
                return None
        if not caller.allows(_AGENTS):
            return None
        return await self._agents.find_named(name, token=caller.token)

    async def list_all(self, caller: Caller) -> tuple[Sequence[Offered], bool]:
        """Agents by name, newest first, then models that no agent has the name of; and whether agents are left out."""
        agents, is_cut = list[Offered](), False
        if caller.allows(_AGENTS):
            found, is_cut = await self._agents.list_newest(_MOST_AGENTS, token=caller.token)
            agents = [Offered(one.name, "agents", one.id, one.created_at) for one in found]
        taken = {one.name for one in agents}
        models = [Offered(one.name, one.provider) for one in await self._catalogue.list_all()]
        return [*agents, *[one for one in models if one.name not in taken]], is_cut

    async def describe(self, caller: Caller, name: str) -> Offered:
        """The one that `find` finds. Raises ModelNotFound, and what it raises."""
        agent, chosen = await self.find(caller, name)
        if not agent.id:
            return Offered(chosen.model.name, chosen.model.provider)
        return Offered(agent.name or agent.id, "agents", agent.id, agent.created_at)


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name.lower()
    except ValueError:
        return False
