"""Opens what a worker runs on, and lets it finish what it began before that is closed."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypedDict

from fastapi import FastAPI

from services.tasks.adapters.delegation import DelegatedTokens
from services.tasks.health import watch_work
from services.tasks.kinds.registry import KindRegistry
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
from shared.messages import RABBITMQ_REMEDY, Connection, Publisher, open_connection, open_probe
from shared.platform import Platform, open_platform
from shared.postgres import Database, Outbox, OutboxRelay, open_database
from shared.schemas import new_id


class State(TypedDict):
    """What requests find on `request.state`."""

    platform: Platform


@dataclass(frozen=True, slots=True)
class _Ground:
    """What the parts of a worker stand on."""

    app: FastAPI
    settings: WorkerSettings
    kinds: KindRegistry
    database: Database
    outbox: Outbox
    queues: Queues
    tokens: DelegatedTokens
    instruments: Instruments
    left_out: LeftOut
    leases: Leases

    def runner(self, platform: Platform) -> Runner:
        """What does the tasks."""
        outages = Outages(self.database)
        worker_id = f"{socket.gethostname()}-{os.getpid()}-{new_id()[-6:]}"
        replays = ReplayService(self.database, self.outbox, self.queues, self.kinds)
        replaying = Replaying(self.database, self.outbox, replays)
        return Runner(
            outages=outages,
            claims=Claims(self.database, outages, self.kinds.limits, worker_id, self.settings.lease_seconds),
            recorder=Recorder(
                self.database, outages, self.outbox, self.queues, self.kinds, self.left_out, self.settings
            ),
            leases=self.leases,
            kinds=self.kinds,
            left_out=self.left_out,
            contexts=ContextFactory(platform.services, self.tokens, Holds(self.database), replaying),
            instruments=self.instruments,
            settings=self.settings,
            watchdog=self.app.state.watchdog,
            storage=self.app.state.storage,
        )

    def loops(self, publishing: Connection) -> AbstractAsyncContextManager[None]:
        """What looks after tasks for as long as the worker lives."""
        database, outbox, queues, settings = self.database, self.outbox, self.queues, self.settings
        reconciler = Reconciler(database, outbox, queues, publishing, settings, self.kinds.limits, self.left_out)
        scheduler = Scheduler(database, outbox, queues, self.kinds, every_seconds=settings.reconcile_seconds)
        deleted, every = self.instruments.deleted, settings.republish_seconds
        retention = Retention(database, self.kinds, settings.keeping, deleted, every_seconds=every)
        relay = OutboxRelay(database, outbox, Publisher(publishing, queues.declare))
        return in_background(self.leases.run(), reconciler.run(), scheduler.run(), retention.run(), relay.run())


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
        broker_probe = await stack.enter_async_context(open_probe(publishing))

        async def carries_messages() -> None:
            await consuming.ping()
            await broker_probe.check()

        app.state.health.add("rabbitmq", carries_messages, remedy=RABBITMQ_REMEDY)
        queues, outbox = Queues(settings.queue_prefix), Outbox(OutboxRow)
        watch_work(app, database, outbox)
        assert platform.identity is not None  # noqa: S101 - only auth has none
        tokens = DelegatedTokens(platform.identity, platform.verifier)
        instruments, leases = Instruments(app.state.metrics.registry), Leases(database, settings)
        ground = _Ground(
            app, settings, app.state.kinds, database, outbox, queues, tokens, instruments, LeftOut(), leases
        )
        runner = ground.runner(platform)
        await stack.enter_async_context(ground.loops(publishing))
        await stack.enter_async_context(delivering_webhooks(app, database, outbox, tokens))
        await stack.enter_async_context(hearing_runs(consuming, queues, database))
        await stack.enter_async_context(Consumers(consuming, queues, runner, settings))
        yield State(platform=platform)
