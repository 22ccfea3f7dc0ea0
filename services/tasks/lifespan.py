"""Opens what the API runs on, in order, and closes it in reverse."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypedDict

from fastapi import FastAPI

from services.tasks.flows import Flows
from services.tasks.health import watch_work
from services.tasks.history.service import HistoryService
from services.tasks.instruments import QueueGauges, Submits
from services.tasks.models import OutboxRow
from services.tasks.outcomes.service import OutcomeService
from services.tasks.queues import Queues
from services.tasks.replays.service import ReplayService
from services.tasks.schedules.service import ScheduleService
from services.tasks.service import TaskService
from services.tasks.settings import Settings
from services.tasks.streams.news import open_news
from services.tasks.streams.service import StreamService
from services.tasks.submissions import Submissions
from services.tasks.webhooks.deliveries import DeliveryService
from services.tasks.webhooks.service import WebhookService
from shared.loops import in_background
from shared.messages import RABBITMQ_REMEDY, Publisher, open_connection, open_probe
from shared.outbound import Allowed
from shared.platform import Platform, open_platform
from shared.postgres import Outbox, OutboxRelay, open_database
from shared.sealing import Seal

MIGRATIONS = Path(__file__).parent / "migrations"


class State(TypedDict):
    """What requests find on `request.state`."""

    platform: Platform
    tasks: TaskService
    history: HistoryService
    streams: StreamService
    outcomes: OutcomeService
    replays: ReplayService
    schedules: ScheduleService
    webhooks: WebhookService
    deliveries: DeliveryService


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    settings: Settings = app.state.settings
    seal = Seal(settings.secret_encryption_key.get_secret_value())
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings.database_url.get_secret_value(), settings.database_name, MIGRATIONS)
        )
        broker = await stack.enter_async_context(
            open_connection(settings.rabbitmq_url.get_secret_value(), "tasks publisher")
        )
        queues, outbox = Queues(settings.queue_prefix), Outbox(OutboxRow)
        broker_probe = await stack.enter_async_context(open_probe(broker))
        # Soft: submits are accepted without it.
        app.state.health.add("rabbitmq", broker_probe.check, hard=False, remedy=RABBITMQ_REMEDY)
        watch_work(app, database, outbox)
        limited = app.state.kinds.limits
        submissions = Submissions(database, outbox, queues, limited, max_waiting=settings.max_submits_waiting)
        gauges = QueueGauges(database, outbox, limited, app.state.metrics.registry)
        relay = OutboxRelay(database, outbox, Publisher(broker, queues.declare))
        await stack.enter_async_context(in_background(submissions.run(), relay.run(), gauges.run()))
        platform = await stack.enter_async_context(open_platform(app))
        tasks = TaskService(
            database,
            outbox,
            submissions,
            Flows(database, outbox, queues, limited),
            app.state.kinds,
            platform.cursors,
            Submits(app.state.metrics.registry),
            max_input_bytes=settings.max_input_bytes,
        )
        schedules = ScheduleService(
            database, outbox, submissions, app.state.kinds, platform.cursors, max_input_bytes=settings.max_input_bytes
        )
        allowed = Allowed.of(settings.outbound_allow)
        webhooks = WebhookService(database, outbox, app.state.kinds, platform.cursors, seal, allowed)
        news = await stack.enter_async_context(open_news(database, app.state.health, settings.stream_look_seconds))
        yield State(
            platform=platform,
            tasks=tasks,
            schedules=schedules,
            webhooks=webhooks,
            deliveries=DeliveryService(database, outbox, platform.cursors),
            history=HistoryService(database, tasks, platform.cursors),
            outcomes=OutcomeService(database),
            replays=ReplayService(database, outbox, queues, app.state.kinds),
            streams=StreamService(
                database,
                tasks,
                news,
                platform.authenticator,
                heartbeat_seconds=settings.stream_heartbeat_seconds,
                max_streams=settings.max_streams,
            ),
        )
