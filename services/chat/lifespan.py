"""Opens what chat runs on, in order, and closes it in reverse."""

import functools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TypedDict

from fastapi import FastAPI

from services.chat.adapters.agents_directory import AgentsDirectory
from services.chat.adapters.openai_model import open_model
from services.chat.adapters.vectors_knowledge import VectorsKnowledge
from services.chat.bounds import Bounds
from services.chat.conversations.forking import Forks
from services.chat.conversations.repository import ConversationRepository
from services.chat.conversations.service import ConversationService
from services.chat.errors import MODEL
from services.chat.instruments import Instruments
from services.chat.retrieval import Retriever
from services.chat.runs.control import RunControl
from services.chat.runs.execution import Means, RunLimits
from services.chat.runs.repository import RunRepository
from services.chat.runs.service import RunService
from services.chat.runs.supervisor import open_supervisor
from services.chat.runs.sweeping import open_sweeper
from services.chat.runs.tails import open_tails
from services.chat.runs.tickets import Tickets
from services.chat.settings import Settings
from shared.ending import OUTLIVED
from shared.platform import Platform, open_platform
from shared.redis import REDIS_REMEDY, open_redis, write_and_read_back


class State(TypedDict):
    """What requests find on `request.state`."""

    platform: Platform
    conversations: ConversationService
    runs: RunService
    control: RunControl
    tickets: Tickets


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    settings: Settings = app.state.settings
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(open_platform(app))
        redis = await stack.enter_async_context(open_redis(settings.redis_url.get_secret_value()))
        probe = functools.partial(write_and_read_back, redis, app.state.instance)
        platform.health.add("redis", probe, remedy=REDIS_REMEDY)
        stream_redis = await stack.enter_async_context(open_redis(settings.redis_url.get_secret_value()))
        model = await stack.enter_async_context(open_model(settings))
        platform.health.add(MODEL, model.ping, hard=False, remedy="look at LLM_URL and at the log of the model")
        supervisor = await stack.enter_async_context(open_supervisor(settings, platform.health, app.state.watchdog))
        agents = AgentsDirectory(platform.services, settings.agent_seconds)
        knowledge = VectorsKnowledge(platform.services, settings.search_seconds)
        tails = await stack.enter_async_context(open_tails(stream_redis, platform.health, supervisor.cancel))
        bounds = Bounds.of(settings)
        repository = RunRepository(redis, bounds, tails.inbox)
        await stack.enter_async_context(
            open_sweeper(redis, repository, supervisor, lease_seconds=settings.run_lease_seconds)
        )
        control = RunControl(
            repository,
            supervisor,
            tails,
            platform.auth,
            heartbeat_seconds=settings.heartbeat_seconds,
            max_streams=settings.max_streams,
        )
        means = Means(
            repository=repository,
            retriever=Retriever(knowledge, settings.passages_per_collection, settings.search_seconds * OUTLIVED),
            model=model,
            default_model=settings.llm_model,
            limits=RunLimits.of(settings),
            instruments=Instruments(app.state.metrics.registry),
        )
        conversations = ConversationRepository(redis, timedelta(days=settings.retention_days))
        forks = Forks(redis, bounds)
        yield State(
            platform=platform,
            conversations=ConversationService(conversations, forks, platform.cursors, platform.auth),
            runs=RunService(agents, means, supervisor, control, heartbeat_seconds=settings.heartbeat_seconds),
            control=control,
            tickets=Tickets(redis, repository),
        )
