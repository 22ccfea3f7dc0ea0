"""Asks the provider that has the model, and others in its place where one is away before it has said anything."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from services.chat.dialogue.errors import OptionRefused
from services.chat.errors import ContextExceeded, ModelRefused, ModelTimeout, ModelUnavailable, ModelUnknown
from services.chat.generation import Ask, Completion, Heard, Piece, Quote
from services.chat.models.catalogue import Catalogue
from services.chat.models.domain import Model
from services.chat.quoting import quotes_from
from services.chat.tokens import Vocabulary
from services.chat.usage.meter import Generation
from shared.calls import RetryBudget

_log = logging.getLogger("chat.models")
_RETRY_PAUSE_SECONDS = (0.2, 0.5)
_SOON_SECONDS = 2  # a provider that wants to be left alone for longer is


class Provider(Protocol):
    """One provider."""

    def generate(self, ask: Ask, *, answer_tokens: int, heard: Heard) -> AsyncGenerator[Piece | Completion, None]:
        """As `LanguageModel.generate`, with at most so many tokens; the model by the provider's own name for it.

        What it costs is in `heard` once it has ended, be it in the middle.
        """

    async def ping(self) -> None:
        """As `LanguageModel.ping`."""


class RoutedModel:
    """All models of all providers, as one."""

    def __init__(
        self,
        catalogue: Catalogue,
        providers: Mapping[str, Provider],
        *,
        fallbacks: Sequence[str],
        retries: int,
        vocabulary: Vocabulary,
    ) -> None:
        """`fallbacks` are tried in order; `retries` is how often one model is asked again before.

        By `vocabulary` is estimated what no provider has counted.
        """
        self._catalogue, self._providers = catalogue, providers
        self._fallbacks, self._retries, self._vocabulary = fallbacks, retries, vocabulary
        self._budgets = {name: RetryBudget() for name in providers}

    async def generate(self, ask: Ask) -> AsyncGenerator[Piece | Completion, None]:
        """As the port says. The Completion names the model that answered; of several errors the first is raised.

        What a fallback will not take hides no error of the model that was asked for, and the next one is tried.
        """
        candidates = _Candidates(self._catalogue, self._fallbacks, self._budgets, self._retries, sees=bool(ask.images))
        wanted = await candidates.first(ask.model)
        model: Model | None = wanted
        first: ModelUnavailable | ModelTimeout | None = None
        while model:
            has_begun = False
            try:
                async with aclosing(self._asked(model, ask)) as items:
                    async for item in items:
                        has_begun = True
                        yield item
                return
            except (ModelUnavailable, ModelTimeout) as error:
                if has_begun:
                    raise
                first = first or error
                model = await candidates.after(error)
            except (ModelRefused, ModelUnknown, ContextExceeded, OptionRefused) as error:
                if has_begun or first is None or model == wanted:
                    raise
                model = await candidates.fallback(error)
        raise first or ModelUnavailable()

    async def ping(self) -> None:
        """Raises what the first provider does that does not answer."""
        found = await asyncio.gather(*(one.ping() for one in self._providers.values()), return_exceptions=True)
        for outcome in found:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _asked(self, model: Model, ask: Ask) -> AsyncGenerator[Piece | Completion, None]:
        measured = Generation(model, ask, self._vocabulary)
        quotes = self._quotes(ask) if model.quotes and ask.sources and not ask.images else ()
        asked = self._providers[model.provider].generate(
            replace(ask, model=model.id, quotes=quotes),
            answer_tokens=min(model.limits.answer_tokens, ask.answer_tokens or model.limits.answer_tokens),
            heard=measured.heard,
        )
        try:
            async with aclosing(asked) as items:
                async for item in items:
                    measured.take(item)
                    yield replace(item, model=model.name) if isinstance(item, Completion) else item
        finally:
            measured.end()

    def _quotes(self, ask: Ask) -> Sequence[Quote]:
        return quotes_from(ask.sources, ask.messages[-1].content, self._vocabulary)


class _Candidates:
    """Whom to ask for one generation, one after the other."""

    def __init__(
        self,
        catalogue: Catalogue,
        fallbacks: Sequence[str],
        budgets: Mapping[str, RetryBudget],
        retries: int,
        *,
        sees: bool,
    ) -> None:
        """With `sees` no fallback without eyes is one."""
        self._catalogue, self._budgets, self._retries = catalogue, budgets, retries
        self._left, self._sees = list(fallbacks), sees
        self._asked: list[Model] = []

    async def first(self, name: str) -> Model:
        """Raises ModelUnknown, and ModelUnavailable while it cannot be told."""
        return self._take(await self._catalogue.find(name))

    async def after(self, error: ModelUnavailable | ModelTimeout) -> Model | None:
        """The next, where the last failed so: itself once more, or a fallback; None when there is none left."""
        failed = self._asked[-1]
        _log.warning("no answer", extra={"fields": {"model": failed.name, "code": error.code}})
        if self._may_be_asked_again(failed, error):
            await asyncio.sleep(random.uniform(*_RETRY_PAUSE_SECONDS))
            self._asked.append(failed)
            return failed
        return await self._next()

    async def fallback(self, error: Exception) -> Model | None:
        """The next one, where a fallback has not taken the request; None when there is none left."""
        fields = {"model": self._asked[-1].name, "code": getattr(error, "code", type(error).__name__)}
        _log.warning("no fallback", extra={"fields": fields})
        return await self._next()

    async def _next(self) -> Model | None:
        while self._left:
            name = self._left.pop(0)
            try:
                found = await self._catalogue.find(name)
            except (ModelUnknown, ModelUnavailable) as none:
                _log.warning("no fallback", extra={"fields": {"model": name, "code": none.code}})
                continue
            if found not in self._asked and (found.eyes or not self._sees):
                return self._take(found)
        return None

    def _take(self, model: Model) -> Model:
        self._asked.append(model)
        self._budgets[model.provider].record_call()
        return model

    def _may_be_asked_again(self, failed: Model, error: ModelUnavailable | ModelTimeout) -> bool:
        """Not after a timeout, which has taken its time, and within what this provider's calls afford."""
        is_soon = isinstance(error, ModelUnavailable) and int(error.headers["Retry-After"]) <= _SOON_SECONDS
        is_left = self._asked.count(failed) <= self._retries
        return is_soon and is_left and self._budgets[failed.provider].take()
