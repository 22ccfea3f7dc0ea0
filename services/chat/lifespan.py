"""Opens what chat runs on, in order, and closes it in reverse."""

import functools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypedDict

from fastapi import FastAPI
from redis.asyncio import Redis

from services.chat.adapters.agents_directory import AgentsDirectory
from services.chat.adapters.agents_tools import RemoteAgentTools
from services.chat.adapters.tasks_queue import TasksQueue
from services.chat.adapters.vectors_knowledge import VectorsKnowledge
from services.chat.bounds import Bounds
from services.chat.completions.service import CompletionService
from services.chat.conversations.forking import Forks
from services.chat.conversations.repository import ConversationRepository
from services.chat.conversations.retention import open_retention
from services.chat.conversations.service import ConversationService
from services.chat.dialogue.beginning import Leavers
from services.chat.dialogue.speakers import Speakers
from services.chat.errors import MODEL
from services.chat.instruments import Instruments
from services.chat.items.repository import ItemRepository
from services.chat.items.service import ItemService
from services.chat.models.catalogue import Catalogue
from services.chat.models.choice import Choice
from services.chat.models.opening import Models, open_models
from services.chat.responses.history import Histories
from services.chat.responses.repository import ResponseRepository
from services.chat.responses.service import ResponseService
from services.chat.responses.translating import joined
from services.chat.retrieval import Retriever
from services.chat.runs.approvals import ApprovalService
from services.chat.runs.control import RunControl
from services.chat.runs.delegates import Delegates
from services.chat.runs.means import Means, RunLimits
from services.chat.runs.pauses import PauseBounds, PauseRepository
from services.chat.runs.publishing import published
from services.chat.runs.queue import QueueRepository
from services.chat.runs.repository import RunRepository
from services.chat.runs.service import RunService
from services.chat.runs.supervisor import Supervisor, open_supervisor
from services.chat.runs.sweeping import open_sweepers
from services.chat.runs.tails import Tails, open_tails
from services.chat.runs.tickets import Tickets
from services.chat.runs.waiting_room import WaitingRoom, open_waiting_room
from services.chat.settings import Settings
from services.chat.summaries.repository import SummaryRepository
from services.chat.summaries.service import Summaries
from services.chat.tools.builtin import BuiltIn
from services.chat.tools.toolbox import Tools
from services.chat.usage.budgets import BudgetLimits, Budgets
from services.chat.usage.notes import UsageNotes
from services.chat.usage.repository import UsageRepository
from services.chat.usage.service import UsageService
from shared.ending import OUTLIVED
from shared.platform import Platform, open_platform
from shared.redis import REDIS_REMEDY, open_redis, write_and_read_back

_SHARE_OF_A_RUN = 3  # is the longest that its summary takes: the answer has the rest


async def _follow(platform: Platform, budgets: Budgets, choice: Choice) -> None:
    """What of this service changes while it runs."""

    async def keep_to(settings: Settings) -> None:
        budgets.apply(BudgetLimits.of(settings))

    async def ask(settings: Settings) -> None:
        await choice.use(settings.llm_model)

    await platform.live.follow(keep_to, "tokens_per_day_key", "tokens_per_day_user", "tokens_per_day_tenant")
    await platform.live.follow(ask, "llm_model")


class State(TypedDict):
    """What requests find on `request.state`."""

    platform: Platform
    conversations: ConversationService
    runs: RunService
    control: RunControl
    usages: UsageService
    approvals: ApprovalService
    tickets: Tickets
    completions: CompletionService
    responses: ResponseService
    leavers: Leavers
    items: ItemService


@dataclass(frozen=True, slots=True)
class _Runs:
    """What runs lie in, who owns those of this process, and who looks after all."""

    redis: Redis
    bounds: Bounds
    supervisor: Supervisor
    tails: Tails
    repository: RunRepository
    pauses: PauseRepository
    queue: QueueRepository
    room: WaitingRoom


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    settings: Settings = app.state.settings
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(open_platform(app))
        redis = await stack.enter_async_context(open_redis(settings.redis_url.get_secret_value()))
        probe = functools.partial(write_and_read_back, redis, app.state.instance)
        platform.health.add("redis", probe, remedy=REDIS_REMEDY)
        models = await stack.enter_async_context(open_models(settings))
        remedy = "look at LLM_URL, at LLM_PROVIDERS, and at the log of the model"
        platform.health.add(MODEL, models.model.ping, hard=False, remedy=remedy)
        runs = await stack.enter_async_context(_open_runs(app, platform, redis))
        budgets, choice = Budgets(redis, BudgetLimits.of(settings)), Choice(models.catalogue, settings)
        await _follow(platform, budgets, choice)
        await stack.enter_async_context(open_retention(redis, runs.bounds))
        means = _means(app, platform, runs, models, choice)
        yield _state(settings, platform, runs, means, budgets, models.catalogue)


@asynccontextmanager
async def _open_runs(app: FastAPI, platform: Platform, redis: Redis) -> AsyncIterator[_Runs]:
    settings: Settings = app.state.settings
    bounds, lease_seconds = Bounds.of(settings), settings.run_lease_seconds
    async with (
        open_redis(settings.redis_url.get_secret_value()) as stream_redis,
        open_supervisor(settings, platform.health, app.state.watchdog) as supervisor,
        open_tails(stream_redis, platform.health, supervisor.cancel) as tails,
        published(app, redis) as outbox,
    ):
        repository = RunRepository(redis, bounds, tails.inbox, outbox.notify)
        pauses = PauseRepository(redis, PauseBounds.of(settings), tails.inbox, outbox.notify)
        queue = QueueRepository(redis, bounds, tails.inbox, outbox.notify)
        async with (
            open_sweepers(redis, repository, queue, supervisor),
            open_waiting_room(queue, platform.authenticator, supervisor.ended, lease_seconds) as room,
        ):
            yield _Runs(redis, bounds, supervisor, tails, repository, pauses, queue, room)


def _means(app: FastAPI, platform: Platform, runs: _Runs, models: Models, choice: Choice) -> Means:
    settings: Settings = app.state.settings
    agents = AgentsDirectory(platform.services, settings.agent_seconds)
    knowledge = VectorsKnowledge(platform.services, settings.search_seconds)
    search_seconds = settings.search_seconds * OUTLIVED
    built_in = BuiltIn(
        knowledge,
        TasksQueue(platform.services, settings.submit_seconds),
        passages=settings.passages_per_collection,
        search_seconds=search_seconds,
    )
    agent_tools = RemoteAgentTools(platform.services, settings.agent_seconds)
    return Means(
        agents=agents,
        repository=runs.repository,
        pauses=runs.pauses,
        summaries=Summaries(SummaryRepository(runs.redis), models.model, settings.run_seconds / _SHARE_OF_A_RUN),
        notes=UsageNotes(runs.redis),
        queue=runs.queue,
        retriever=Retriever(knowledge, settings.passages_per_collection, search_seconds),
        model=models.model,
        choice=choice,
        tools=Tools(agents, agent_tools, built_in, settings.delegation_depth),
        limits=RunLimits.of(settings),
        instruments=Instruments(app.state.metrics.registry),
        delegates=Delegates(settings.max_delegates),
        joined=joined,
    )


def _state(
    settings: Settings, platform: Platform, kept: _Runs, means: Means, budgets: Budgets, catalogue: Catalogue
) -> State:
    redis, bounds, seconds = kept.redis, kept.bounds, settings.heartbeat_seconds
    control = RunControl(
        kept.repository,
        kept.queue,
        kept.supervisor,
        kept.tails,
        platform.auth,
        platform.authenticator,
        heartbeat_seconds=seconds,
        max_streams=settings.max_streams,
    )
    runs = RunService(means.agents, means, kept.supervisor, control, kept.room, budgets, heartbeat_seconds=seconds)
    speakers = Speakers(means.agents, means.choice, catalogue)
    conversations = ConversationService(
        ConversationRepository(redis, bounds), Forks(redis, bounds), platform.cursors, platform.auth
    )
    responses, items = ResponseRepository(redis), ItemRepository(redis, bounds)
    histories = Histories(control, kept.repository, responses, items)
    return State(
        platform=platform,
        conversations=conversations,
        runs=runs,
        control=control,
        usages=UsageService(UsageRepository(redis), bounds.kept),
        approvals=ApprovalService(means, kept.supervisor, budgets, platform.auth),
        tickets=Tickets(redis, kept.repository),
        completions=CompletionService(runs, speakers),
        responses=ResponseService(runs, control, responses, histories, speakers, platform.auth),
        leavers=Leavers(control),
        items=ItemService(items, conversations, platform.auth),
    )
