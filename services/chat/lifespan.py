"""Opens what chat runs on, in order, and closes it in reverse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TypedDict

from fastapi import FastAPI

from services.chat.adapters.agents_directory import AgentsDirectory
from services.chat.adapters.openai_model import ModelLimits, OpenAIModel, open_model
from services.chat.adapters.vectors_knowledge import VectorsKnowledge
from services.chat.conversations.repository import ConversationRepository
from services.chat.conversations.service import ConversationService
from services.chat.errors import MODEL
from services.chat.instruments import Instruments
from services.chat.ports import LanguageModel
from services.chat.prompt import PromptBudget
from services.chat.retrieval import Retriever
from services.chat.runs.execution import Means, RunLimits
from services.chat.runs.repository import Bounds, RunRepository
from services.chat.runs.service import RunService
from services.chat.runs.streaming import replay
from services.chat.runs.supervisor import Supervisor
from services.chat.settings import Settings
from shared.health import Health
from shared.platform import Platform, open_platform
from shared.redis import open_redis

_DRAIN_CHECK_SECONDS = 0.25
_LAST_EVENT_SECONDS = 1.0  # for the final events to reach the clients before their connections are cut


class State(TypedDict):
    """What requests find on `request.state`."""

    platform: Platform
    conversations: ConversationService
    runs: RunService


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    settings: Settings = app.state.settings
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(open_platform(app, replay_stream=replay))
        stream_redis = await stack.enter_async_context(open_redis(settings.redis_url.get_secret_value()))
        model = await stack.enter_async_context(_open_model(settings))
        platform.health.add("redis", platform.redis.ping)
        platform.health.add(MODEL, model.ping, hard=False)
        supervisor = Supervisor(settings.max_runs)
        stack.push_async_callback(supervisor.aclose)
        watching = asyncio.create_task(_end_runs_in_time(platform.health, supervisor, settings.shutdown_seconds))
        stack.callback(watching.cancel)
        repository = RunRepository(platform.redis, stream_redis, _bounds(settings))
        means = _means(settings, platform, repository, model, Instruments(app.state.metrics.registry))
        yield State(
            platform=platform,
            conversations=ConversationService(
                ConversationRepository(platform.redis, timedelta(days=settings.retention_days)), platform.cursors
            ),
            runs=RunService(
                AgentsDirectory(platform.services, settings.agent_seconds),
                means,
                supervisor,
                heartbeat_seconds=settings.heartbeat_seconds,
            ),
        )


def _open_model(settings: Settings) -> AbstractAsyncContextManager[OpenAIModel]:
    limits = ModelLimits(
        connect_seconds=settings.llm_connect_seconds,
        first_token_seconds=settings.llm_first_token_seconds,
        between_tokens_seconds=settings.llm_between_tokens_seconds,
        answer_tokens=settings.answer_tokens,
        temperature=settings.llm_temperature,
    )
    api_key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else None
    return open_model(settings.llm_url, api_key, limits, settings.max_runs)


def _means(
    settings: Settings, platform: Platform, repository: RunRepository, model: LanguageModel, instruments: Instruments
) -> Means:
    knowledge = VectorsKnowledge(platform.services, settings.search_seconds)
    limits = RunLimits(
        run_seconds=settings.run_seconds,
        lease_seconds=settings.run_lease_seconds,
        delta_window_seconds=settings.delta_window_ms / 1000,
        history_messages=settings.history_messages,
        budget=_budget(settings),
    )
    return Means(
        repository=repository,
        retriever=Retriever(knowledge, settings.passages_per_collection),
        model=model,
        default_model=settings.llm_model,
        limits=limits,
        instruments=instruments,
    )


def _budget(settings: Settings) -> PromptBudget:
    return PromptBudget(
        total=settings.prompt_tokens,
        sources=settings.sources_tokens,
        passage=settings.passage_tokens,
        history=settings.history_tokens,
    )


def _bounds(settings: Settings) -> Bounds:
    return Bounds(
        retention_ms=timedelta(days=settings.retention_days) // timedelta(milliseconds=1),
        lease_ms=round(settings.run_lease_seconds * 1000),
        kept_seconds=settings.run_kept_seconds,
        max_messages=settings.max_messages,
        max_conversations=settings.max_conversations,
    )


async def _end_runs_in_time(health: Health, supervisor: Supervisor, shutdown_seconds: float) -> None:
    """Once the instance leaves the balancers, let runs finish; interrupt what is left while it can still be told."""
    while not health.draining:  # noqa: ASYNC110 - a flag of the machinery, without an event to wait for
        await asyncio.sleep(_DRAIN_CHECK_SECONDS)
    await asyncio.sleep(max(0.0, shutdown_seconds - _LAST_EVENT_SECONDS))
    supervisor.interrupt_all()
