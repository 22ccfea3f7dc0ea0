"""What a turn is to be answered by: a model, and how long a prompt it takes."""

from dataclasses import dataclass

from services.chat.models.catalogue import Catalogue
from services.chat.models.domain import Model
from services.chat.prompt import PromptBudget
from services.chat.settings import Settings


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model and its prompts."""

    model: Model
    budget: PromptBudget


class Choice:
    """Chooses before anything is kept."""

    def __init__(self, catalogue: Catalogue, settings: Settings) -> None:
        self._catalogue, self._settings = catalogue, settings
        self.default_model = settings.llm_model
        """For agents that name none."""

    async def use(self, name: str) -> None:
        """Make this the default, which is one that can be found. Raises as `of`."""
        await self._catalogue.find(name)
        self.default_model = self._catalogue.default_model = name

    async def of(self, name: str) -> Chosen:
        """The model called so. Raises ModelUnknown, and ModelUnavailable while it cannot be told."""
        model = await self._catalogue.find(name)
        return Chosen(model, PromptBudget.of(self._settings, model.limits, model.eyes))
