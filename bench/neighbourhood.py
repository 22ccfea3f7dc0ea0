"""An agent with others around it, made through the service's own routes."""

from dataclasses import dataclass

import httpx

_NEAR, _BEHIND_EACH = 8, 3


@dataclass(frozen=True, slots=True)
class Centre:
    """The agent in the middle, and how many are within two relations of it."""

    agent_id: str
    around: int


def grow(agents_url: str, token: str) -> Centre:
    """It delegates to some, each of whom delegates to others."""
    with httpx.Client(base_url=agents_url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:

        def made(name: str, boss: str | None) -> str:
            body = {"name": name, "instructions": "Answer in one sentence."}
            agent = str(client.post("/api/v1/agents/create", json=body).raise_for_status().json()["id"])
            if boss is not None:
                client.put(f"/api/v1/agents/{boss}/relations/delegates_to/{agent}", json={}).raise_for_status()
            return agent

        centre = made("centre", None)
        for number in range(_NEAR):
            near = made(f"near {number}", centre)
            for behind in range(_BEHIND_EACH):
                made(f"behind {number}.{behind}", near)
    return Centre(centre, _NEAR * (1 + _BEHIND_EACH))
