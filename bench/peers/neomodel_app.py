"""G1's peer: FastAPI over neomodel, as their first pages show them; nobody is asked who they are."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import FastAPI, HTTPException
from neomodel import AsyncRelationship, AsyncStructuredNode, DateTimeNeo4jFormatProperty, StringProperty, adb
from neomodel.exceptions import DoesNotExist
from pydantic import BaseModel

TENANT_ID = os.environ["TENANT_ID"]


class Agent(AsyncStructuredNode):
    """A node that another application made."""

    agent_id = StringProperty(db_property="id")
    tenant_id = StringProperty()
    name = StringProperty()
    instructions = StringProperty()
    created_at = DateTimeNeo4jFormatProperty()
    updated_at = DateTimeNeo4jFormatProperty()
    delegates = AsyncRelationship("Agent", "DELEGATES_TO")


class AgentRead(BaseModel):
    id: str
    name: str
    instructions: str


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    place = urlsplit(os.environ["NEO4J_URL"])
    user, password = os.environ["NEO4J_USER"], quote(os.environ["NEO4J_PASSWORD"], safe="")
    await adb.set_connection(url=f"{place.scheme}://{user}:{password}@{place.netloc}")
    yield
    await adb.close_connection()


app = FastAPI(lifespan=lifespan)


@app.get("/agents/{id}", response_model=AgentRead)
async def one(id: str) -> AgentRead:
    return _read(await _found(id))


@app.get("/agents/{id}/relations", response_model=list[AgentRead])
async def related(id: str) -> list[AgentRead]:
    return [_read(agent) for agent in await (await _found(id)).delegates.all()]


@app.get("/agents/{id}/graph", response_model=list[AgentRead])
async def around(id: str) -> list[AgentRead]:
    """By one query: asking each neighbour for its own would be one each."""
    place = "MATCH (a:Agent {id: $id, tenant_id: $tenant_id})-[:DELEGATES_TO*1..2]-(b:Agent {tenant_id: $tenant_id})"
    rows, _ = await adb.cypher_query(
        f"{place} RETURN DISTINCT b ORDER BY b.id LIMIT 200", {"id": id, "tenant_id": TENANT_ID}, resolve_objects=True
    )
    return [_read(row[0]) for row in rows]


async def _found(id: str) -> Any:
    try:
        return await Agent.nodes.get(agent_id=id, tenant_id=TENANT_ID)
    except DoesNotExist as error:
        raise HTTPException(404) from error


def _read(agent: Any) -> AgentRead:
    return AgentRead(id=agent.agent_id, name=agent.name, instructions=agent.instructions)
