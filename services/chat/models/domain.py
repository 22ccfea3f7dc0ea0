"""What is known of a model."""

from dataclasses import dataclass

from services.chat.images.domain import Eyes


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
    """A model as its provider lists it; None is what it does not say, and of one of which nobody says so it is not
    believed that it `sees` images."""

    id: str
    window_tokens: int | None = None
    answer_tokens: int | None = None
    sees: bool = False


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be asked: `id` is what its provider calls it, `name` what callers do.

    One that `quotes` answers from sources in their words. One without `eyes` is shown no images.
    """

    provider: str
    id: str
    name: str
    limits: ModelLimits
    price: Price | None = None
    quotes: bool = False
    eyes: Eyes | None = None
