"""What is known of a model."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """Tokens: what prompt and answer may be together (None where nobody says), and what an answer may be."""

    window_tokens: int | None
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class Price:
    """Of a million tokens, in whatever currency the operator counts."""

    prompt: float
    completion: float

    def nanos(self, prompt_tokens: int, completion_tokens: int) -> int:
        """What so many tokens cost, in billionths, so that sums are exact."""
        return round(1000 * (prompt_tokens * self.prompt + completion_tokens * self.completion))


@dataclass(frozen=True, slots=True)
class Offer:
    """A model as its provider lists it; None is what it does not say."""

    id: str
    window_tokens: int | None = None
    answer_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be asked: `id` is what its provider calls it, `name` what callers do.

    One that `quotes` answers from sources in their words.
    """

    provider: str
    id: str
    name: str
    limits: ModelLimits
    price: Price | None = None
    quotes: bool = False
