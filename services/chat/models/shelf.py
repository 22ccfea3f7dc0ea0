"""The models of one provider, as it last listed them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

from services.chat.models.domain import Offer
from shared.errors import ServiceError

_log = logging.getLogger("chat.models")
_AGAIN_SECONDS = 5.0  # a list is not read more often, whatever is asked for


class Shelf:
    """What one provider offers. One that is away keeps its last list."""

    def __init__(
        self,
        provider: str,
        read: Callable[[], Awaitable[Sequence[Offer]]],
        configured: Iterable[str] | None = None,
        *,
        again_seconds: float = _AGAIN_SECONDS,
    ) -> None:
        self.provider, self._read, self._again_seconds = provider, read, again_seconds
        self._configured = None if configured is None else tuple(configured)
        self._offers: dict[str, Offer] | None = None
        self._tried_at = float("-inf")
        self._is_away = False
        self._reading = asyncio.Lock()

    @property
    def is_known(self) -> bool:
        """Whether it is known what the provider offers."""
        return self._configured is not None or self._offers is not None

    @property
    def was_asked(self) -> bool:
        """Whether the provider was asked for its list, be it in vain."""
        return self._tried_at > 0

    @property
    def is_open(self) -> bool:
        """Whether nothing says what the provider offers, so that it may be anything."""
        return self._configured is None and not self._offers

    @property
    def ids(self) -> tuple[str, ...]:
        """What the provider calls its models, in its order."""
        return self._configured if self._configured is not None else tuple(self._offers or ())

    def find(self, model_id: str) -> Offer | None:
        """The model, if it is offered. Without a tag it may be listed with the tag `latest`, as by Ollama."""
        for one in (model_id, f"{model_id}:latest"):
            if self._configured is not None and one in self._configured:
                return (self._offers or {}).get(one, Offer(one))
            if self._configured is None and self._offers and one in self._offers:
                return self._offers[one]
        return None

    async def refresh(self) -> None:
        """Read the list again, unless that was tried just now. Never raises for a provider that is away."""
        async with self._reading:
            if time.monotonic() - self._tried_at < self._again_seconds:
                return
            try:
                self._offers = {offer.id: offer for offer in await self._read()}
            except ServiceError as error:
                self._note(is_away=True, cause=error)
            else:
                self._note(is_away=False)
            self._tried_at = time.monotonic()

    def _note(self, *, is_away: bool, cause: ServiceError | None = None) -> None:
        if is_away and not self._is_away:
            fields = {"provider": self.provider, "cause": cause.detail if cause else ""}
            _log.warning("models are not listed", extra={"fields": fields})
        self._is_away = is_away
