"""Which model a name means, and what that model holds."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from services.chat.errors import ModelUnavailable, ModelUnknown
from services.chat.images.domain import Eyes
from services.chat.models.builtin import with_built_in
from services.chat.models.configured import DEFAULT_PROVIDER, ModelEntry
from services.chat.models.domain import Model, ModelLimits, Offer, Price
from services.chat.models.shelf import Shelf

_MOST = 1_000
_ANY = "default"
"""`LLM_MODEL` where nobody set it: whatever the provider offers first."""


class Catalogue:
    """The models of all providers. `shelves` begins with the provider `default`, whose model `default_model` is."""

    def __init__(
        self,
        shelves: Sequence[Shelf],
        *,
        default_model: str,
        answer_tokens: int,
        known: Mapping[str, ModelEntry] | None = None,
    ) -> None:
        self._shelves, self.default_model = shelves, default_model
        self._answer_tokens, self._known = answer_tokens, known or {}

    async def find(self, name: str) -> Model:
        """The model called `provider/model`, or `model` where only one provider offers it.

        A provider that lists no models, or never could, is believed to have any: under its own name, and under any
        where it is the only one. Raises ModelUnknown, and ModelUnavailable while it cannot be told.
        """
        if found := self._find(name):
            return found
        await self.refresh()
        if found := self._find(name):
            return found
        if all(shelf.is_known for shelf in self._shelves):
            raise ModelUnknown(name)
        raise ModelUnavailable

    async def list_all(self) -> list[Model]:
        """Every model that a provider lists, each once, up to a thousand; of those that list none nobody can tell."""
        if not all(shelf.is_known for shelf in self._shelves):
            await self.refresh()
        listed = [(shelf, offer) for shelf in self._shelves for one in shelf.ids if (offer := shelf.find(one))]
        return list({model.name: model for shelf, offer in listed for model in [self._model(shelf, offer)]}.values())[
            :_MOST
        ]

    async def refresh(self) -> None:
        """Ask all providers what they offer; those that were asked just now are not."""
        await asyncio.gather(*(shelf.refresh() for shelf in self._shelves))

    def _find(self, name: str) -> Model | None:
        if name == self.default_model and (found := self._own_default()):
            return found
        listed = list(self._listed(name))
        if len(listed) > 1:
            raise ModelUnknown(name, among=[self._model(*one).name for one in listed])
        if listed:
            return self._model(*listed[0])
        return self._believed(name)

    def _own_default(self) -> Model | None:
        """The model of agents that name none, at the provider that comes with it."""
        shelf = self._shelves[0]
        if offer := shelf.find(self.default_model):
            return self._model(shelf, offer)
        if self.default_model == _ANY and shelf.ids:
            return self._model(shelf, shelf.find(shelf.ids[0]) or Offer(shelf.ids[0]))
        is_others = any(self.default_model.startswith(f"{one.provider}/") for one in self._shelves[1:])
        return None if is_others or not self._may_be_open(shelf) else self._model(shelf, Offer(self.default_model))

    @staticmethod
    def _may_be_open(shelf: Shelf) -> bool:
        """Whether to believe that it has what it does not list: not before it was asked."""
        return shelf.is_open and shelf.was_asked

    def _listed(self, name: str) -> Iterator[tuple[Shelf, Offer]]:
        """Who lists it. A provider's name in front is its own, whatever others list."""
        for shelf in self._shelves:
            provider, _, model_id = name.partition("/")
            if provider == shelf.provider and model_id and (offer := shelf.find(model_id)):
                yield shelf, offer
                return
        for shelf in self._shelves:
            if offer := shelf.find(name):
                yield shelf, offer

    def _believed(self, name: str) -> Model | None:
        """At a provider that lists none."""
        provider, _, model_id = name.partition("/")
        for shelf in self._shelves:
            if model_id and provider == shelf.provider and self._may_be_open(shelf):
                return self._model(shelf, Offer(model_id))
        only = self._shelves[0]
        return self._model(only, Offer(name)) if len(self._shelves) == 1 and self._may_be_open(only) else None

    def _name(self, shelf: Shelf, model_id: str) -> str:
        """What leads to this model and to no other."""
        others = [one for one in self._shelves if one is not shelf]
        is_plain = not any(one.find(model_id) or model_id.startswith(f"{one.provider}/") for one in others)
        is_own = shelf.provider == DEFAULT_PROVIDER and (is_plain or model_id == self.default_model)
        return model_id if is_own else f"{shelf.provider}/{model_id}"

    def _model(self, shelf: Shelf, offer: Offer) -> Model:
        name = self._name(shelf, offer.id)
        entry = with_built_in(offer.id, self._known.get(name) or self._known.get(offer.id) or ModelEntry())
        window = entry.window_tokens or offer.window_tokens
        bounds = [entry.answer_tokens or self._answer_tokens]
        bounds += [offer.answer_tokens] if offer.answer_tokens and not entry.answer_tokens else []
        bounds += [max(1, window // 2)] if window else []
        has_price = entry.prompt_price is not None or entry.completion_price is not None
        price = Price(entry.prompt_price or 0.0, entry.completion_price or 0.0) if has_price else None
        sees = offer.sees if entry.sees is None else entry.sees
        eyes = Eyes(entry.image_tokens) if sees else None
        return Model(shelf.provider, offer.id, name, ModelLimits(window, min(bounds)), price, entry.quotes, eyes)
