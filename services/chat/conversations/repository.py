"""Conversations in Redis. Every key is made from the owner, so nobody reaches another's."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import WatchError

from services.chat.bounds import Bounds
from services.chat.conversations.domain import Conversation
from services.chat.conversations.metadata import tags_of
from services.chat.conversations.scripts import UPDATE
from services.chat.conversations.searching import AT_ONCE, ConversationSearch, Wanted
from services.chat.domain import Message, Owner
from services.chat.errors import ConversationNotFound
from services.chat.keeping import FORGET, KEPT_REFUSALS, kept_keys
from services.chat.runs.counting import LEAVE_NOTES
from services.chat.runs.log_scripts import FORGET_LOGS
from services.chat.storage import KEPT_PARTS, Keys, conversation_from, message_from
from services.chat.stretches import BYTES_OF_A_PAGE, Stretches
from services.chat.times import now, to_ms
from services.chat.usage.counts import GUARDED_SECONDS
from services.chat.words import kept_words
from shared.errors import Conflict
from shared.redis import redis_errors
from shared.resources import etag, require_match

Position = tuple[int, str]  # time of last activity in ms, conversation id
_ATTEMPTS = 3
_BUSY: Final = "The conversation is being changed by others; try again."


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of the list of conversations."""

    places: list[Position]
    reached: Position | None
    """Where the rest of the list begins: after this place; None when nothing is left. A search that has done as much as
    one may has reached less than it was asked for."""


class ConversationRepository:
    """Reads and changes conversations. Every method raises Unavailable naming `redis` when it does not answer."""

    def __init__(self, redis: Redis, bounds: Bounds) -> None:
        self._redis, self._search, self._bounds = redis, ConversationSearch(redis), bounds
        self._update, self._stretches = redis.register_script(UPDATE), Stretches(redis)

    async def positions(self, owner: Owner, limit: int, after: Position | None, wanted: Wanted) -> Stretch:
        """Up to `limit` places in the list after `after`, newest activity first, of conversations that are `wanted`.

        Redis orders equal times by id but can only begin at a time, so places already seen are passed over.
        """
        newest, search = after[0] if after else "+inf", self._search.of(owner, wanted)
        found, reached = list[Position](), after
        offset, at_once = 0, limit + 1 if wanted.is_all else AT_ONCE
        with redis_errors():
            while len(found) <= limit:
                rows = await self._rows(owner, newest, offset, at_once)
                places = [place for place in rows if not after or place < after]
                kept, looked_at = await search.among([id_ for _, id_ in places])
                found += [place for place in places if place[1] in kept]
                reached = places[looked_at - 1] if looked_at else reached
                if looked_at < len(places):
                    return Stretch(found[:limit], found[limit - 1] if len(found) > limit else reached)
                offset += len(rows)
                if len(rows) < at_once:
                    break
        return Stretch(found[:limit], found[limit - 1] if len(found) > limit else None)

    async def _rows(self, owner: Owner, newest: int | str, offset: int, number: int) -> list[Position]:
        rows: Any = await self._redis.zrange(
            Keys(owner).conversations,
            newest,
            to_ms(now()) - self._bounds.retention_of(owner),
            desc=True,
            byscore=True,
            offset=offset,
            num=number,
            withscores=True,
        )
        return [(int(score), member.decode()) for member, score in rows]

    async def get_many(self, owner: Owner, conversation_ids: Iterable[str]) -> list[Conversation]:
        """Those that exist, in the order asked for."""
        ids, keys = list(conversation_ids), Keys(owner)
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipeline:
                for conversation_id in ids:
                    pipeline.hgetall(keys.conversation(conversation_id))
                hashes = await pipeline.execute()
        kept_ms = self._bounds.retention_of(owner)
        return [conversation_from(id_, stored, kept_ms) for id_, stored in zip(ids, hashes, strict=True) if stored]

    async def get(self, owner: Owner, conversation_id: str) -> Conversation:
        """Raises ConversationNotFound."""
        with redis_errors():
            stored: Any = await self._redis.hgetall(Keys(owner).conversation(conversation_id))
        return self._found(owner, conversation_id, stored)

    async def update(
        self, owner: Owner, conversation_id: str, changes: Mapping[str, Any], if_match: str | None
    ) -> Conversation:
        """The conversation with another `title`, other `metadata` or both; without `changes` as it is.

        Raises ConversationNotFound, PreconditionFailed, KeptTooMuch, Conflict.
        """
        if not changes:
            conversation = await self.get(owner, conversation_id)
            require_match(if_match, etag(conversation.version))
            return conversation
        keys = Keys(owner)
        names = [keys.conversation(conversation_id), keys.words(conversation_id), keys.conversations, *kept_keys(owner)]
        changed = await self._changed_by(changes)
        for _ in range(_ATTEMPTS):
            version = ""
            if if_match is not None:
                version = str((await self.get(owner, conversation_id)).version)
                require_match(if_match, etag(int(version)))
            about: list[Any] = [conversation_id, to_ms(now()), self._bounds.retention_of(owner), owner.user_id]
            with redis_errors():
                answer: Any = await self._update(
                    keys=names, args=[*about, *self._bounds.kept.arguments, version, *changed]
                )
            if isinstance(answer, list):
                return self._found(owner, conversation_id, dict(zip(answer[::2], answer[1::2], strict=True)))
            if answer != b"changed":
                raise KEPT_REFUSALS[answer.decode()]()
        raise Conflict(_BUSY)

    @staticmethod
    async def _changed_by(changes: Mapping[str, Any]) -> list[Any]:
        """For the script: of the title and of the metadata, whether they are others, and what they are."""
        title, metadata = changes.get("title", ""), changes.get("metadata", {})
        words = await kept_words(title)
        is_named, is_told = (int(name in changes) for name in ("title", "metadata"))
        return [is_named, title, words, is_told, orjson.dumps(metadata), tags_of(metadata)]

    async def delete(self, owner: Owner, conversation_id: str, if_match: str | None) -> None:
        """Forget a conversation, its messages and what its runs said; a turn being answered finds it gone and ends.

        Raises ConversationNotFound, PreconditionFailed, Conflict.
        """
        keys = Keys(owner)

        async def deleting(pipeline: Pipeline) -> None:
            await pipeline.watch(keys.runs(conversation_id))  # a message that begins to wait changes nothing else of it
            runs: Any = await pipeline.smembers(keys.runs(conversation_id))
            pipeline.multi()  # type: ignore[no-untyped-call] # the driver's
            names = [keys.run(run.decode()) for run in runs]
            pipeline.eval(LEAVE_NOTES, len(names), *names, to_ms(now()), GUARDED_SECONDS)
            pipeline.zrem(keys.conversations, conversation_id)
            pipeline.delete(*_keys_of(keys, conversation_id, [run.decode() for run in runs]))
            pipeline.eval(FORGET, 3, *kept_keys(owner), owner.user_id, conversation_id)
            pipeline.eval(FORGET_LOGS, len(names), *names)

        await self._change(owner, conversation_id, if_match, deleting)

    async def _change(
        self, owner: Owner, conversation_id: str, if_match: str | None, change: Callable[[Pipeline], Awaitable[None]]
    ) -> list[Any]:
        """Have what `change` puts into the pipeline happen to the very version that `if_match` was held against.

        All is read over the connection that watches: whoever holds one and waits for another stops the whole pool.
        """
        key = Keys(owner).conversation(conversation_id)
        with redis_errors():
            for _ in range(_ATTEMPTS):
                async with self._redis.pipeline() as pipeline:
                    await pipeline.watch(key)
                    stored: Any = await pipeline.hgetall(key)
                    require_match(if_match, etag(self._found(owner, conversation_id, stored).version))
                    await change(pipeline)
                    try:
                        answers: list[Any] = await pipeline.execute()
                    except WatchError:
                        continue
                return answers
        raise Conflict(_BUSY)

    def _found(self, owner: Owner, conversation_id: str, stored: Mapping[bytes, bytes]) -> Conversation:
        if not stored:
            raise ConversationNotFound
        if self._bounds.is_over(owner, int(stored[b"last_activity_at"])):
            raise ConversationNotFound
        return conversation_from(conversation_id, stored, self._bounds.retention_of(owner))

    async def messages(
        self, owner: Owner, conversation_id: str, limit: int, after: str | None
    ) -> tuple[list[tuple[str, Message]], bool]:
        """Up to `limit` messages after a place, oldest first, each with its own, and whether more follow.

        Raises ConversationNotFound.
        """
        with redis_errors():
            stretch = await self._stretches.read(owner, conversation_id, after, most=limit, most_bytes=BYTES_OF_A_PAGE)
        if stretch.active_ms is None or self._bounds.is_over(owner, stretch.active_ms):
            raise ConversationNotFound
        return [(place, message_from(stored)) for place, stored in stretch.entries], stretch.has_more


def _keys_of(keys: Keys, conversation_id: str, run_ids: Sequence[str]) -> list[str]:
    kept = [keys.conversation(conversation_id) + part for part in KEPT_PARTS]
    of_answers = [keys.lease(conversation_id), keys.runs(conversation_id), keys.queue(conversation_id)]
    of_runs = [name for run_id in run_ids for name in (keys.run(run_id), keys.events(run_id))]
    return [*kept, *of_answers, *of_runs]
