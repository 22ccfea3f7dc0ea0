"""Notes a run for those who look after dead ones (`sweeping.py`), before it begins, or waits, and in one round trip
with that: what is noted and is not there when they look is forgotten."""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError

from services.chat.domain import Turn
from services.chat.storage import RUNNING, running_member
from services.chat.times import now, to_ms
from shared.redis import redis_errors


async def noted_run(
    redis: Redis, script: AsyncScript, turn: Turn, lease_ms: int, names: Sequence[str], arguments: Sequence[Any]
) -> str:
    """The answer of `script`, which may begin the turn. Raises Unavailable.

    Apart from the script, since the note lies in another slot: a run that was noted and did not begin is forgotten
    later.
    """
    return str(await noted(redis, script, RUNNING, turn, lease_ms, names, arguments), "ascii")


async def noted(
    redis: Redis,
    script: AsyncScript,
    noted_in: str,
    turn: Turn,
    lease_ms: int,
    names: Sequence[str],
    arguments: Sequence[Any],
) -> Any:
    """As `noted_run`, in another sorted set, and whatever the script answers."""
    member = {running_member(turn.owner, turn.conversation_id, turn.run_id): to_ms(now()) + lease_ms}
    with redis_errors():
        async with redis.pipeline(transaction=False) as pipeline:
            pipeline.zadd(noted_in, member)
            pipeline.evalsha(script.sha, len(names), *names, *arguments)
            try:
                _, answer = await pipeline.execute()
            except NoScriptError:  # a server that was started since
                answer = await script(keys=names, args=arguments)
    return answer
