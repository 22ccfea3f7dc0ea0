"""Measures what a run asks of models, wherever in it they are asked.

A generation knows nothing of the run that it is part of, so the meter of a run hangs on the context of its task.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from services.chat.generation import Ask, Completion, Heard, Piece, Reasoning, Usage
from services.chat.models.domain import Model
from services.chat.prompt import tokens_asked
from services.chat.tokens import Vocabulary, estimate_counted

NOT_YET: Final = math.inf
"""When the work on a run began that waits for its turn."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One generation: tokens as the provider counted them, estimated where it did not, as when it was left."""

    model: str
    prompt_tokens: int
    completion_tokens: int
    cost_nanos: int | None
    first_token_ms: int | None


def total_of(measured: Sequence[Measured]) -> Usage:
    """All of them together."""
    prompt, completion = sum(one.prompt_tokens for one in measured), sum(one.completion_tokens for one in measured)
    return Usage(prompt, completion, prompt + completion)


@dataclass(slots=True)
class Meter:
    """The generations of one run since it went on last; `earlier` are those from before it lay down, which are settled
    and counted. `under_way` are those that have not ended."""

    measured: list[Measured] = field(default_factory=list)
    earlier: Sequence[Measured] = ()
    began_at: float = field(default_factory=time.perf_counter)
    under_way: "list[Generation]" = field(default_factory=list)

    @property
    def worked_ms(self) -> int:
        """Since it went on last: nobody works on a run that waits for people, or for its turn."""
        return round(max(0.0, time.perf_counter() - self.began_at) * 1000)

    def begin(self) -> None:
        """Its work begins now, where it was `NOT_YET` at work."""
        self.began_at = time.perf_counter()

    @property
    def all(self) -> list[Measured]:
        """Everything that the run asked of models."""
        return [*self.earlier, *self.measured]

    @property
    def tokens(self) -> int:
        """Of prompts and answers, since it went on last."""
        return sum(one.prompt_tokens + one.completion_tokens for one in self.measured)

    def so_far(self) -> "Meter":
        """The same as if everything had ended now."""
        cut = [found for one in self.under_way if (found := one.so_far())]
        return Meter([*self.measured, *cut], self.earlier, self.began_at)


_current: ContextVar[Meter | None] = ContextVar("meter", default=None)


@contextmanager
def metered(meter: Meter) -> Iterator[Meter]:
    """Have what is begun in the block, tasks among it, measured by `meter`."""
    token = _current.set(meter)
    try:
        yield meter
    finally:
        _current.reset(token)


def current_meter() -> Meter | None:
    """The meter of the run that this is part of."""
    return _current.get()


class Generation:
    """Measures one generation while it goes on."""

    def __init__(self, model: Model, ask: Ask, vocabulary: Vocabulary) -> None:
        self._model, self._ask, self._vocabulary = model, ask, vocabulary
        self.heard = Heard()
        self._began_at = time.perf_counter()
        self._first_token_ms: int | None = None
        self._uncounted: list[str] = []
        self._characters = Counter[str]()
        self._prompt_tokens: int | None = None
        if meter := current_meter():
            meter.under_way.append(self)

    def take(self, item: Piece | Completion) -> None:
        """Note the next item."""
        if isinstance(item, Completion):
            return
        if self._first_token_ms is None:
            self._first_token_ms = round((time.perf_counter() - self._began_at) * 1000)
        self._uncounted.append(item.text if isinstance(item, Reasoning) else item)

    def end(self) -> None:
        """Hand the run's meter what there was; one that no provider has taken has cost nothing."""
        meter = current_meter()
        if meter is None:
            return
        meter.under_way = [one for one in meter.under_way if one is not self]
        if measured := self.so_far():
            meter.measured.append(measured)

    def so_far(self) -> Measured | None:
        """What there is by now; None where no provider has taken it."""
        if not self.heard.has_begun:
            return None
        usage = self.heard.usage or self._estimated()
        price = self._model.price
        cost = price.nanos(usage.prompt_tokens, usage.completion_tokens) if price else None
        return Measured(self._model.name, usage.prompt_tokens, usage.completion_tokens, cost, self._first_token_ms)

    def _estimated(self) -> Usage:
        if self._prompt_tokens is None:
            self._prompt_tokens = tokens_asked(self._ask, self._vocabulary, self._model.eyes)
        self._characters.update("".join(self._uncounted))  # each once: this is asked every second
        self._uncounted.clear()
        completion = estimate_counted(self._characters + Counter(self.heard.beside), self._vocabulary)
        return Usage(self._prompt_tokens, completion, self._prompt_tokens + completion)
