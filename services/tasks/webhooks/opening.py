"""Opens what a worker delivers with, and lets it finish what it is sending before that is closed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from fastapi import FastAPI

from services.tasks.settings import WorkerSettings
from services.tasks.webhooks.deliverer import Deliverer, open_deliverer
from services.tasks.webhooks.delivering import Delivering, Tokens
from services.tasks.webhooks.instruments import Instruments
from services.tasks.webhooks.narrowing import Narrowed
from services.tasks.webhooks.resealing import reseal_secrets
from services.tasks.webhooks.sending import Sender
from services.tasks.webhooks.terms import Terms
from services.tasks.webhooks.upkeep import Upkeep
from shared.loops import in_background
from shared.outbound import Allowed, open_outbound
from shared.postgres import Database, Outbox
from shared.sealing import Seal


@asynccontextmanager
async def delivering_webhooks(app: FastAPI, database: Database, outbox: Outbox, tokens: Tokens) -> AsyncIterator[None]:
    """Deliver while the block runs. Raises CannotStart for a key that is none."""
    settings: WorkerSettings = app.state.settings
    terms, database = Terms.of(settings), Narrowed(database)
    seal = Seal(settings.secret_encryption_key.get_secret_value())
    async with AsyncExitStack() as stack:
        outbound = await stack.enter_async_context(open_outbound(Allowed.of(settings.outbound_allow)))
        sender = Sender(outbound, seal, seconds=terms.seconds)
        instruments = Instruments(app.state.metrics.registry)
        delivering = Delivering(database, outbox, tokens, sender, instruments, terms)
        upkeep = Upkeep(
            database,
            delivering,
            days=settings.webhook_retention_days,
            most_kept=settings.webhook_max_kept,
            every_seconds=settings.republish_seconds,
        )
        loops = upkeep.run(), upkeep.watch(), upkeep.prune(), reseal_secrets(database, seal)
        await stack.enter_async_context(in_background(*loops))
        deliverer = Deliverer(database, delivering, terms, settings.webhook_look_seconds)
        await stack.enter_async_context(open_deliverer(deliverer))
        yield
