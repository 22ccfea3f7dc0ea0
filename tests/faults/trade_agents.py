"""Agents: made, changed, read."""

import random

from tests.faults.ledger import Findings
from tests.faults.trades import API, Trade, pages


class Agents(Trade):
    """Each agent's instructions are what its last change said."""

    async def prepare(self) -> None:
        self._instructions: dict[str, str] = {}
        self._names: list[str] = []

    async def turn(self) -> None:
        name = self.next_mark()
        body = {"name": name, "instructions": f"I am {name}."}
        made = (await self.caller.create(f"{API}/agents/create", 201, json=body)).json()
        self._names.append(name)
        self._instructions[made["id"]] = body["instructions"]
        change = {"instructions": f"I was {name}."}
        await self.caller.insist("PATCH", f"{API}/agents/{made['id']}", 200, json=change)
        self._instructions[made["id"]] = change["instructions"]
        await self._look_at(random.choice(list(self._instructions)))

    async def _look_at(self, agent_id: str) -> None:
        read = (await self.caller.ask("GET", f"{API}/agents/{agent_id}", 200)).json()
        self.caller.wrong_unless(read["instructions"] == self._instructions[agent_id], f"agent {agent_id}: {read}")

    async def read_back(self) -> Findings:
        findings, found = Findings(), {}
        names = []
        async for agent in pages(self.caller, f"{API}/agents/list"):
            found[agent["id"]] = agent["instructions"]
            names.append(agent["name"])
        findings.once("agent", self._names, [name for name in names if name.startswith(f"{self.mark}-")])
        for agent_id, instructions in self._instructions.items():
            findings.kept(f"change of agent {agent_id}", holds=found.get(agent_id) == instructions)
        return findings
