"""Opens the providers that the settings name."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from services.chat.adapters.model_list import read_offers
from services.chat.adapters.openai_model import OpenAIModel, Timing, open_session
from services.chat.adapters.traced_model import TracedModel
from services.chat.models.catalogue import Catalogue
from services.chat.models.configured import DEFAULT_PROVIDER, ProviderEntry
from services.chat.models.routing import Provider, RoutedModel
from services.chat.models.shelf import Shelf
from services.chat.settings import Settings
from shared import telemetry
from shared.loops import in_background, keep

_log = logging.getLogger("chat.models")


@dataclass(frozen=True, slots=True)
class Models:
    """All models as one that can be asked, and the catalogue that tells which there are."""

    model: RoutedModel
    catalogue: Catalogue


@asynccontextmanager
async def open_models(settings: Settings) -> AsyncIterator[Models]:
    """The models of all providers, whose lists are read now and then while the block runs."""
    providers, shelves = dict[str, Provider](), list[Shelf]()
    async with AsyncExitStack() as stack:
        for entry in _entries(settings):
            session = await stack.enter_async_context(open_session(settings, entry))
            url = entry.url.rstrip("/")
            model = OpenAIModel(session, url, Timing.of(settings))
            providers[entry.name] = TracedModel(model, entry.name, url) if telemetry.is_recording() else model
            shelves.append(Shelf(entry.name, partial(read_offers, session, url), entry.models))
        catalogue = Catalogue(
            shelves,
            default_model=settings.llm_model,
            answer_tokens=settings.answer_tokens,
            known=settings.llm_models,
        )
        routed = RoutedModel(
            catalogue,
            providers,
            fallbacks=settings.llm_fallbacks,
            retries=settings.llm_retries,
            vocabulary=settings.prompt_vocabulary,
        )
        refreshing = keep(catalogue.refresh, log=_log, every_seconds=settings.llm_list_seconds)
        async with in_background(refreshing):
            yield Models(routed, catalogue)


def _entries(settings: Settings) -> list[ProviderEntry]:
    own = ProviderEntry(name=DEFAULT_PROVIDER, url=settings.llm_url, api_key=settings.llm_api_key)
    return [own, *settings.llm_providers]
