"""Opens what a worker runs on, and lets it finish what it began before that is closed."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI

from services.tasks.adapters.delegation import DelegatedTokens
from services.tasks.health import watch_work
from services.tasks.lifespan import MIGRATIONS
from services.tasks.models import OutboxRow
from services.tasks.queues import Queues
from services.tasks.replays.service import ReplayService
from services.tasks.settings import WorkerSettings
from services.tasks.webhooks.opening import delivering_webhooks
from services.tasks.webhooks.runs import hearing_runs
from services.tasks.worker.claims import Claims
from services.tasks.worker.consumers import Consumers
from services.tasks.worker.context import ContextFactory
from services.tasks.worker.holds import Holds
from services.tasks.worker.instruments import Instruments
from services.tasks.worker.kind_places import LeftOut
from services.tasks.worker.leases import Leases
from services.tasks.worker.outages import Outages
from services.tasks.worker.reconciler import Reconciler
from services.tasks.worker.recording import Recorder
from services.tasks.worker.replaying import Replaying
from services.tasks.worker.retention import Retention
from services.tasks.worker.runner import Runner
from services.tasks.worker.scheduler import Scheduler
from shared.loops import in_background
from shared.messages import RABBITMQ_REMEDY, Publisher, open_connection, open_probe
from shared.platform import Platform, open_platform
from shared.postgres import Outbox, OutboxRelay, open_database
from shared.schemas import new_id


class State(TypedDict):
    """What requests find on `request.state`."""

    platform: Platform


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    settings: WorkerSettings = app.state.settings
    rabbitmq_url = settings.rabbitmq_url.get_secret_value()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            open_database(settings.database_url.get_secret_value(), settings.database_name, MIGRATIONS)
        )
        publishing = await stack.enter_async_context(open_connection(rabbitmq_url, "tasks worker publisher"))
        consuming = await stack.enter_async_context(open_connection(rabbitmq_url, "tasks worker consumer"))
        platform = await stack.enter_async_context(open_platform(app))

        queues, outbox = Queues(settings.queue_prefix), Outbox(OutboxRow)
        broker_probe = await stack.enter_async_context(open_probe(publishing))

        async def carries_messages() -> None:
            await consuming.ping()
            await broker_probe.check()

        app.state.health.add("rabbitmq", carries_messages, remedy=RABBITMQ_REMEDY)
        watch_work(app, database, outbox)
        worker_id = f"{socket.gethostname()}-{os.getpid()}-{new_id()[-6:]}"
        leases = Leases(database, settings)
        assert platform.identity is not None  # noqa: S101 - only auth has none
        tokens = DelegatedTokens(platform.identity, platform.verifier)
        replaying = Replaying(database, outbox, ReplayService(database, outbox, queues, app.state.kinds))
        instruments = Instruments(app.state.metrics.registry)
        left_out, outages = LeftOut(), Outages(database)
        runner = Runner(
            outages=outages,
            claims=Claims(database, outages, app.state.kinds.limits, worker_id, settings.lease_seconds),
            recorder=Recorder(database, outages, outbox, queues, app.state.kinds, left_out, settings),
            leases=leases,
            kinds=app.state.kinds,
            left_out=left_out,
            contexts=ContextFactory(platform.services, tokens, Holds(database), replaying),
            instruments=instruments,
            settings=settings,
            watchdog=app.state.watchdog,
            storage=app.state.storage,
        )
        reconciler = Reconciler(database, outbox, queues, publishing, settings, app.state.kinds.limits, left_out)
        scheduler = Scheduler(database, outbox, queues, app.state.kinds, every_seconds=settings.reconcile_seconds)
        retention = Retention(
            database,
            app.state.kinds,
            settings.keeping,
            instruments.deleted,
            every_seconds=settings.republish_seconds,
        )
        relay = OutboxRelay(database, outbox, Publisher(publishing, queues.declare))
        await stack.enter_async_context(
            in_background(leases.run(), reconciler.run(), scheduler.run(), retention.run(), relay.run())
        )
        await stack.enter_async_context(delivering_webhooks(app, database, outbox, tokens))
        await stack.enter_async_context(hearing_runs(consuming, queues, database))
        await stack.enter_async_context(Consumers(consuming, queues, runner, settings))
        yield State(platform=platform)
