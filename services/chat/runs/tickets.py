"""Tickets: what a browser's EventSource shows in place of a header, which it cannot send.

A ticket stands in the query, where proxies may log it. So it lasts a minute, opens the events of one run and nothing
else, and stands for whoever asked for it only as long as their token does: a logout ends it too. Within its life it may
be shown again, since an EventSource that lost its connection comes back by itself. Redis holds its hash and who it
stands for, never a token.
"""

import hashlib
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from fastapi import Request
from redis.asyncio import Redis

from services.chat.domain import Owner
from services.chat.errors import RunNotFound
from services.chat.runs.repository import RunRepository
from services.chat.storage import ticket_key
from services.chat.times import from_ms
from shared.identity import Caller
from shared.redis import redis_errors

_SECONDS = 60.0
_LONGEST = 64
_READING = "chat:read"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is shown, and until when."""

    ticket: str
    expires_at: datetime


class Tickets:
    """Makes tickets and knows whom they stand for. Raises Unavailable naming `redis` when it does not answer."""

    def __init__(self, redis: Redis, runs: RunRepository) -> None:
        self._redis, self._runs = redis, runs

    async def make(self, caller: Caller, run_id: str) -> Ticket:
        """A ticket to the events of a run of the caller's own. Raises RunNotFound."""
        if await self._runs.find_conversation_of(Owner.of(caller), run_id) is None:
            raise RunNotFound
        ticket, now = secrets.token_urlsafe(32), time.time()
        seconds = max(1.0, min(_SECONDS, caller.expires_at - now))
        with redis_errors():
            await self._redis.set(_key(ticket), _stored(caller, run_id), px=round(seconds * 1000))
        return Ticket(ticket, from_ms(round((now + seconds) * 1000)))

    async def find(self, ticket: str, run_id: str) -> Caller | None:
        """Whom the ticket stands for, who may read and nothing else; None where it is none to this run."""
        if len(ticket) > _LONGEST:
            return None
        with redis_errors():
            stored: Any = await self._redis.get(_key(ticket))
        if stored is None:
            return None
        members = orjson.loads(stored)
        if members.pop("run_id") != run_id.lower():
            return None
        return Caller(**members, scopes=frozenset({_READING}), token="")


async def by_ticket(request: Request) -> Caller | None:
    """Whom the ticket in the query stands for."""
    ticket = request.query_params.get("ticket")
    tickets: Tickets = request.state.tickets
    return await tickets.find(ticket, request.path_params["id"]) if ticket else None


def _key(ticket: str) -> str:
    return ticket_key(hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest())


def _stored(caller: Caller, run_id: str) -> bytes:
    return orjson.dumps(
        {
            "run_id": run_id,
            "subject": caller.subject,
            "tenant_id": caller.tenant_id,
            "token_id": caller.token_id,
            "issued_at": caller.issued_at,
            "expires_at": caller.expires_at,
            "actor": caller.actor,
            "session_id": caller.session_id,
            "key_id": caller.key_id,
        }
    )
