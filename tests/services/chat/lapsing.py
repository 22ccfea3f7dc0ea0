"""Leases that run out, without a wait for it: whoever holds one may stand still until a test has gone on."""

from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.storage import RUNNING, Keys, running_member


async def lapse(redis: Redis, owner: Owner, conversation_id: str, run_id: str) -> None:
    """Nobody holds the run any more, and whoever looks after runs finds that next."""
    await redis.delete(Keys(owner).lease(conversation_id))
    await redis.zadd(RUNNING, {running_member(owner, conversation_id, run_id): 1})
