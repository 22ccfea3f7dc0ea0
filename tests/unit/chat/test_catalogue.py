"""Which model a name means, and what it holds."""

from collections.abc import Sequence

import pytest

from services.chat.errors import ModelUnavailable, ModelUnknown
from services.chat.images.domain import Eyes
from services.chat.models.catalogue import Catalogue
from services.chat.models.configured import ModelEntry
from services.chat.models.domain import ModelLimits, Offer, Price
from services.chat.models.shelf import Shelf
from tests.fixtures.patience import PATIENCE_SECONDS


def shelf(provider: str, *offers: str | Offer, configured: tuple[str, ...] | None = None) -> Shelf:
    async def read() -> Sequence[Offer]:
        return [Offer(one) if isinstance(one, str) else one for one in offers]

    return Shelf(provider, read, configured)


def away(provider: str) -> Shelf:
    async def read() -> Sequence[Offer]:
        raise ModelUnavailable

    return Shelf(provider, read)


def catalogue(*shelves: Shelf, default: str = "a", known: dict[str, ModelEntry] | None = None) -> Catalogue:
    return Catalogue(shelves, default_model=default, answer_tokens=512, known=known)


BOTH = (shelf("default", "a", "b", "ollama:latest"), shelf("big", "b", "c", "x/y", configured=None))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a", "a"),
        ("default/a", "a"),
        ("default/b", "default/b"),
        ("c", "big/c"),
        ("big/c", "big/c"),
        ("x/y", "big/x/y"),
        ("big/x/y", "big/x/y"),
        ("ollama", "ollama:latest"),
    ],
)
async def test_a_name_means_one_model(name: str, found: str) -> None:
    assert (await catalogue(*BOTH).find(name)).name == found


@pytest.mark.parametrize("name", ["d", "big/a", "big/", "/a", "huge/c", ""])
async def test_what_nobody_offers_is_unknown(name: str) -> None:
    with pytest.raises(ModelUnknown, match="No configured provider"):
        await catalogue(*BOTH).find(name)


async def test_what_several_offer_is_to_be_named_in_full() -> None:
    with pytest.raises(ModelUnknown, match="name one of default/b, big/b"):
        await catalogue(*BOTH).find("b")


async def test_the_default_model_is_that_of_its_own_provider() -> None:
    assert (await catalogue(*BOTH, default="b").find("b")).provider == "default"


@pytest.mark.parametrize("name", ["a", "default/b", "c", "big/b"])
async def test_what_a_model_is_called_leads_to_it_again(name: str) -> None:
    models = catalogue(*BOTH)
    found = await models.find(name)

    assert await models.find(found.name) == found


async def test_the_default_model_may_be_anothers() -> None:
    assert (await catalogue(*BOTH, default="big/c").find("big/c")).provider == "big"


async def test_without_a_name_the_first_that_is_offered_answers() -> None:
    assert (await catalogue(*BOTH, default="default").find("default")).id == "a"


async def test_a_provider_without_a_list_alone_is_believed_to_have_all() -> None:
    assert (await catalogue(shelf("default")).find("any/thing")).id == "any/thing"


async def test_beside_others_it_has_what_is_named_as_its_own() -> None:
    models = catalogue(shelf("default", "a"), shelf("big"))

    assert (await models.find("big/any")).id == "any"
    with pytest.raises(ModelUnknown):
        await models.find("any")


async def test_a_configured_list_is_all_there_is() -> None:
    models = catalogue(shelf("default", "a"), shelf("big", "c", "d", configured=("d", "e")))

    assert (await models.find("e")).provider == "big"
    with pytest.raises(ModelUnknown):
        await models.find("c")


async def test_while_a_provider_was_never_heard_of_nobody_is_told_what_there_is_not() -> None:
    with pytest.raises(ModelUnavailable):
        await catalogue(shelf("default", "a"), away("big")).find("c")


async def test_one_that_goes_away_keeps_its_list() -> None:
    answers: list[list[Offer]] = [[Offer("a")]]

    async def read() -> Sequence[Offer]:
        if not answers:
            raise ModelUnavailable
        return answers.pop()

    models = catalogue(Shelf("default", read, again_seconds=0))
    await models.refresh()
    await models.refresh()

    assert (await models.find("a")).id == "a"
    with pytest.raises(ModelUnknown):
        await models.find("b")


async def test_a_provider_is_not_asked_for_each_unknown_name() -> None:
    asked = 0

    async def read() -> Sequence[Offer]:
        nonlocal asked
        asked += 1
        return [Offer("a")]

    models = catalogue(Shelf("default", read, again_seconds=PATIENCE_SECONDS))
    for name in ("b", "c", "d"):
        with pytest.raises(ModelUnknown):
            await models.find(name)

    assert asked == 1


@pytest.mark.parametrize(
    ("offer", "entry", "limits"),
    [
        (Offer("a"), ModelEntry(), ModelLimits(None, 512)),
        (Offer("a", 8192), ModelEntry(), ModelLimits(8192, 512)),
        (Offer("a", 8192, 100), ModelEntry(), ModelLimits(8192, 100)),
        (Offer("a", 600), ModelEntry(), ModelLimits(600, 300)),
        (Offer("a", 8192, 100), ModelEntry(window_tokens=4096, answer_tokens=1000), ModelLimits(4096, 1000)),
    ],
)
async def test_what_is_configured_counts_before_what_is_listed(
    offer: Offer, entry: ModelEntry, limits: ModelLimits
) -> None:
    assert (await catalogue(shelf("default", offer), known={"a": entry}).find("a")).limits == limits


@pytest.mark.parametrize(
    ("offer", "entry", "eyes"),
    [
        (Offer("a"), ModelEntry(), None),
        (Offer("a", sees=True), ModelEntry(), Eyes()),
        (Offer("a", sees=True), ModelEntry(sees=False), None),
        (Offer("a", sees=True), ModelEntry(image_tokens=576), Eyes(576)),
        (Offer("a"), ModelEntry(sees=True, image_tokens=576), Eyes(576)),
        (Offer("a"), ModelEntry(image_tokens=576), None),
    ],
)
async def test_a_model_sees_where_somebody_says_so(offer: Offer, entry: ModelEntry, eyes: Eyes | None) -> None:
    assert (await catalogue(shelf("default", offer), known={"a": entry}).find("a")).eyes == eyes


async def test_a_price_is_exact_in_billionths() -> None:
    known = {"big/c": ModelEntry(prompt_price=0.15, completion_price=0.6)}

    model = await catalogue(*BOTH, known=known).find("c")

    assert model.price == Price(0.15, 0.6)
    assert model.price.nanos(3, 2) == 1650


@pytest.mark.parametrize(
    ("entry", "quotes"),
    [(None, True), (ModelEntry(prompt_price=1), True), (ModelEntry(quotes=False), False)],
    ids=["unsaid", "other members", "said"],
)
async def test_of_the_built_in_model_is_known_what_nobody_says(entry: ModelEntry | None, quotes: bool) -> None:
    name = "smollm2-135m-instruct"
    known = {name: entry} if entry else {}

    model = await catalogue(shelf("default", name), default=name, known=known).find(name)

    assert model.quotes is quotes
    assert (model.price is not None) is (entry is not None and entry.prompt_price is not None)
