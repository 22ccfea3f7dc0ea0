"""Opens what agents runs on, in order, and closes it in reverse."""

import functools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI

from services.agents.calls.http import HttpTools
from services.agents.calls.mcp import McpTools
from services.agents.calls.service import CallService
from services.agents.constraints import applied_schema
from services.agents.documents.service import DocumentService
from services.agents.graph import open_graph
from services.agents.keys import forget_old_keys
from services.agents.matching.service import MatchingService
from services.agents.network.service import NetworkService
from services.agents.openapi.service import OpenApiService
from services.agents.relations.service import RelationService
from services.agents.relay import published
from services.agents.secrets.resealing import reseal_secrets
from services.agents.secrets.service import SecretService
from services.agents.service import AgentService
from services.agents.settings import Settings
from services.agents.tools.service import ToolService
from services.agents.upkeep import place_late, sweep_names
from services.agents.versions.service import VersionService
from shared.health import STORE_REMEDY
from shared.loops import in_background
from shared.outbound import Allowed, open_outbound
from shared.platform import Platform, open_platform
from shared.sealing import Seal


class State(TypedDict):
    """What requests find on `request.state`."""

    platform: Platform
    agents: AgentService
    versions: VersionService
    relations: RelationService
    networks: NetworkService
    matching: MatchingService
    documents: DocumentService
    secrets: SecretService
    tools: ToolService
    openapi: OpenApiService
    calls: CallService


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    settings: Settings = app.state.settings
    seal = Seal(settings.secret_encryption_key.get_secret_value())
    async with AsyncExitStack() as stack:
        graph = await stack.enter_async_context(open_graph(settings))
        probe = functools.partial(graph.write_and_read_back, app.state.instance)
        app.state.health.add("neo4j", probe, remedy=STORE_REMEDY)
        await stack.enter_async_context(applied_schema(graph, settings.neo4j_schema_seconds))
        loops = forget_old_keys(graph), sweep_names(graph), place_late(graph), reseal_secrets(graph, seal)
        await stack.enter_async_context(in_background(*loops))
        outbox = await stack.enter_async_context(published(app, graph))
        platform = await stack.enter_async_context(open_platform(app))
        allowed = Allowed.of(settings.outbound_allow)
        outbound = await stack.enter_async_context(open_outbound(allowed))
        common = graph, platform.cursors, platform.auth
        tools = ToolService(*common, allowed)
        yield State(
            platform=platform,
            agents=AgentService(*common, outbox),
            versions=VersionService(*common, outbox),
            relations=RelationService(*common),
            networks=NetworkService(graph),
            matching=MatchingService(graph),
            documents=DocumentService(graph, platform.auth, outbox),
            secrets=SecretService(*common, seal),
            tools=tools,
            openapi=OpenApiService(tools, outbound),
            calls=CallService(graph, seal, HttpTools(outbound), McpTools(outbound)),
        )
