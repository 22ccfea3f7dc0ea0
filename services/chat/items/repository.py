"""Messages of conversations, put there and taken out one by one, without a run that says them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import orjson
from redis.asyncio import Redis

from services.chat.bounds import Bounds
from services.chat.conversations.metadata import tags_of
from services.chat.domain import Message, Owner
from services.chat.errors import ConversationNotFound, MessageNotFound
from services.chat.images.reading import MOST_SHOWN_BYTES
from services.chat.items.scripts import PUT, TAKE_OUT
from services.chat.keeping import kept_keys
from services.chat.repetitions import kept_once, made_before
from services.chat.runs.beginning import REFUSALS, title_of
from services.chat.runs.logs import RunTooLong
from services.chat.storage import Keys, message_bytes, message_from
from services.chat.stretches import BYTES_OF_A_PAGE, Stretches
from services.chat.times import now, to_ms
from services.chat.words import kept_words
from shared.door import Once
from shared.redis import redis_errors
from shared.schemas import new_id

_AT_ONCE: Final = 16  # messages that are read at once to find one of them
_APART_MS: Final = 10_000  # by so much the clocks of a process and of Redis may differ before more is read
_REFUSALS: Final = {**REFUSALS, "unknown": MessageNotFound}


@dataclass(frozen=True, slots=True)
class Put:
    """Which messages were put into which conversation."""

    conversation_id: str
    message_ids: Sequence[str]


class ItemRepository:
    """Every method raises Unavailable naming `redis` when it does not answer."""

    def __init__(self, redis: Redis, bounds: Bounds) -> None:
        self._redis, self._bounds = redis, bounds
        self._put, self._take_out = redis.register_script(PUT), redis.register_script(TAKE_OUT)
        self._stretches = Stretches(redis)

    async def begin(
        self, owner: Owner, messages: Sequence[Message], metadata: Mapping[str, Any], once: Once | None
    ) -> Put:
        """A new conversation, with no agent as yet, that has the messages; for a repetition of `once` the earlier one.

        Raises TooManyConversations, ConversationFull, KeptTooMuch, IdempotencyKeyReused.
        """
        return await self._once(owner, None, messages, metadata, once)

    async def add(self, owner: Owner, conversation_id: str, messages: Sequence[Message], once: Once | None) -> Put:
        """Put the messages at its end, all or none; for a repetition of `once` those that were put there before.

        Raises ConversationNotFound, RunActive, ConversationFull, KeptTooMuch, IdempotencyKeyReused.
        """
        return await self._once(owner, conversation_id, messages, {}, once)

    async def _once(
        self,
        owner: Owner,
        conversation_id: str | None,
        messages: Sequence[Message],
        metadata: Mapping[str, Any],
        once: Once | None,
    ) -> Put:
        put = Put(conversation_id or new_id(), [message.id for message in messages])
        while True:
            if once and (made := await made_before(self._redis, owner, once)):
                return Put(made["conversation_id"], made["message_ids"])
            names = self._keys_of_put(owner, put, once)
            arguments = await self._arguments(owner, put, messages, metadata, once, is_new=conversation_id is None)
            with redis_errors():
                answer = (await self._put(keys=names, args=arguments)).decode()
            if answer == "ok":
                return put
            if answer != "taken":  # by the same request, which is found then
                raise _REFUSALS[answer]()

    def _keys_of_put(self, owner: Owner, put: Put, once: Once | None) -> list[str]:
        keys, conversation_id = Keys(owner), put.conversation_id
        return [
            keys.conversation(conversation_id),
            keys.messages(conversation_id),
            keys.words(conversation_id),
            keys.conversations,
            keys.once(once.digest if once else b""),
            *kept_keys(owner),
            keys.lease(conversation_id),
            keys.queue(conversation_id),
            keys.run(""),
        ]

    async def _arguments(
        self,
        owner: Owner,
        put: Put,
        messages: Sequence[Message],
        metadata: Mapping[str, Any],
        once: Once | None,
        *,
        is_new: bool,
    ) -> list[Any]:
        title = next((title_of(message.content) for message in messages if message.role == "user"), "")
        arguments: list[Any] = [
            int(is_new),
            to_ms(now()),
            self._bounds.retention_of(owner),
            put.conversation_id,
            kept_once(once, conversation_id=put.conversation_id, message_ids=put.message_ids),
            self._bounds.kept_seconds,
            self._bounds.max_conversations,
            self._bounds.max_messages,
            owner.user_id,
            *self._bounds.kept.arguments,
            title,
            await kept_words(title),
            orjson.dumps(metadata),
            tags_of(metadata),
        ]
        for message in messages:
            arguments += [message_bytes(message), message.id, await kept_words(message.content)]
        return arguments

    async def take_out(self, owner: Owner, conversation_id: str, message_id: str) -> None:
        """Forget one message, and the title that was made of it.

        Raises ConversationNotFound, MessageNotFound, RunActive.
        """
        place, message = await self.find(owner, conversation_id, message_id)
        keys = Keys(owner)
        names = [
            keys.conversation(conversation_id),
            keys.messages(conversation_id),
            keys.words(conversation_id),
            keys.conversations,
            keys.summary(conversation_id),
            *kept_keys(owner),
            keys.lease(conversation_id),
            keys.queue(conversation_id),
            keys.run(""),
        ]
        before_ms = to_ms(now()) - self._bounds.retention_of(owner)
        title = title_of(message.content)
        arguments: list[Any] = [conversation_id, before_ms, message_id, place, owner.user_id, title]
        with redis_errors():
            answer = (await self._take_out(keys=names, args=arguments)).decode()
        if answer != "ok":
            raise _REFUSALS[answer]()

    async def find(self, owner: Owner, conversation_id: str, message_id: str) -> tuple[str, Message]:
        """A message and its place in the conversation. Raises ConversationNotFound, MessageNotFound."""
        keys = Keys(owner)
        with redis_errors():
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.hget(keys.conversation(conversation_id), "last_activity_at")
                pipeline.hexists(keys.words(conversation_id), message_id)
                last_activity_ms, is_there = await pipeline.execute()
            if last_activity_ms is None or self._bounds.is_over(owner, int(last_activity_ms)):
                raise ConversationNotFound
            if is_there:
                begins = b'{"id":"%b"' % message_id.encode()
                async for place, stored in self._near(owner, conversation_id, message_id):
                    if stored.startswith(begins):
                        return place, message_from(stored)
        raise MessageNotFound

    async def _near(self, owner: Owner, conversation_id: str, message_id: str) -> AsyncIterator[tuple[str, bytes]]:
        """All messages, from those on that are about as old as the id says: it was made just before it got its place,
        unless it waited for its turn. Raises what Redis' driver does."""
        made_ms = max(1, (UUID(message_id).int >> 80) - _APART_MS)
        for first, last in ((f"{made_ms}-0", "+"), ("-", f"({made_ms}-0")):
            stretches = self._stretches.read_all(owner, conversation_id, first=first, last=last, most=_AT_ONCE)
            async for entries in stretches:
                for entry in entries:
                    yield entry

    async def read_whole(
        self, owner: Owner, conversation_id: str, most_chars: int, *, is_kept: bool
    ) -> tuple[list[Message], int]:
        """All of its messages, oldest first, and its version before they were read; of one that has more text than
        `most_chars`, or more images than a model is shown, what goes just beyond. With their citations only where all
        `is_kept` with a run.

        Raises ConversationNotFound, and RunTooLong for more than is kept with one.
        """
        keys = Keys(owner)
        with redis_errors():
            about: Any = await self._redis.hmget(keys.conversation(conversation_id), ["last_activity_at", "version"])
            last_activity_ms, version = about
            if last_activity_ms is None or self._bounds.is_over(owner, int(last_activity_ms)):
                raise ConversationNotFound
            messages, left, bytes_left = list[Message](), most_chars, self._bounds.logs.run
            images_left = MOST_SHOWN_BYTES
            async for entries in self._stretches.read_all(owner, conversation_id):
                some = [message_from(stored) for _, stored in entries]
                messages += some if is_kept else [replace(one, citations=()) for one in some]
                left -= sum(map(_chars_of, some))
                bytes_left -= sum(len(stored) for _, stored in entries)
                images_left -= sum(image.size for one in some for image in one.images)
                if left < 0 or images_left < 0:
                    break
                if is_kept and bytes_left < 0:
                    raise RunTooLong
        return messages, int(version)

    async def page(
        self, owner: Owner, conversation_id: str, limit: int, after: str | None, *, newest_first: bool
    ) -> tuple[list[Message], bool]:
        """Up to `limit` messages after the one whose id is `after`, and whether more follow.

        Raises ConversationNotFound, MessageNotFound.
        """
        place = (await self.find(owner, conversation_id, after))[0] if after else None
        with redis_errors():
            stretch = await self._stretches.read(
                owner, conversation_id, place, newest_first=newest_first, most=limit, most_bytes=BYTES_OF_A_PAGE
            )
        if stretch.active_ms is None or self._bounds.is_over(owner, stretch.active_ms):
            raise ConversationNotFound
        return [message_from(stored) for _, stored in stretch.entries], stretch.has_more


def _chars_of(message: Message) -> int:
    """What a model would be told of it."""
    call = message.tool_call
    return len(message.content) + (len(call.name) + len(call.arguments) if call else 0)
