"""What an agent's collections say, put together."""

import pytest

from services.chat.domain import Agent, Passage
from services.chat.given import FileSearch
from services.chat.ports import CollectionUnusable, Knowledge
from services.chat.retrieval import Retriever, best_first
from services.chat.tools.domain import FilePart
from shared.errors import Unavailable

AGENT = Agent("a", "", None, ("one", "two", "missing"))


class FixedKnowledge(Knowledge):
    """Collections that are written down here, and no vector store."""

    def __init__(self, found: dict[str, list[Passage] | Exception]) -> None:
        self.found = found
        self.queries: list[str] = []
        self.by_words: set[bool] = set()

    async def search(self, collection: str, query: str, *, limit: int, by_words: bool, token: str) -> list[Passage]:
        self.queries.append(query)
        self.by_words.add(by_words)
        found = self.found[collection]
        if isinstance(found, Exception):
            raise found
        return found[:limit]

    async def search_files(
        self, store: str, query: str, files: FileSearch, *, by_words: bool, token: str
    ) -> list[FilePart]:
        raise NotImplementedError


def passage(collection: str, score: float, text: str) -> Passage:
    return Passage(collection, text, score, text)


async def test_passages_of_all_collections_are_merged_by_score() -> None:
    knowledge = FixedKnowledge(
        {
            "one": [passage("one", 0.9, "a"), passage("one", 0.3, "b")],
            "two": [passage("two", 0.5, "c")],
            "missing": CollectionUnusable("missing", "vectors.collection_not_found", "There is none."),
        }
    )

    evidence = await Retriever(knowledge, 4, 5).retrieve(AGENT, "?", token="t")

    assert [found.text for found in evidence.passages] == ["a", "c", "b"]
    assert [(warning.collection, warning.code) for warning in evidence.warnings] == [
        ("missing", "vectors.collection_not_found")
    ]


async def test_a_store_that_is_down_is_no_empty_collection() -> None:
    knowledge = FixedKnowledge({"one": [], "two": Unavailable("vectors"), "missing": []})

    with pytest.raises(Unavailable):
        await Retriever(knowledge, 4, 5).retrieve(AGENT, "?", token="t")


@pytest.mark.parametrize("content", ["", " \n"])
async def test_nothing_is_looked_for_where_there_is_no_question(content: str) -> None:
    """A history need not have a message of a user."""
    knowledge = FixedKnowledge({"one": [], "two": [], "missing": []})

    evidence = await Retriever(knowledge, 4, 5).retrieve(AGENT, content, token="t")

    assert (list(evidence.passages), list(evidence.warnings), knowledge.queries) == ([], [], [])


async def test_a_long_message_is_searched_by_its_beginning() -> None:
    knowledge = FixedKnowledge({"one": [], "two": [], "missing": []})

    await Retriever(knowledge, 4, 5).retrieve(AGENT, "x" * 30_000, token="t")

    assert {len(query) for query in knowledge.queries} == {2_000}


@pytest.mark.parametrize(("collections", "by_words"), [(("one",), True), (("one", "two"), False)])
async def test_words_are_searched_where_scores_need_not_be_compared(
    collections: tuple[str, ...], by_words: bool
) -> None:
    knowledge = FixedKnowledge({"one": [], "two": []})

    await Retriever(knowledge, 4, 5).retrieve(Agent("a", "", None, collections), "?", token="t")

    assert knowledge.by_words == {by_words}


def test_the_same_text_counts_once_at_its_best_score() -> None:
    passages = [passage("one", 0.2, "same"), passage("two", 0.8, "same"), passage("two", 0.5, "other")]

    assert [(found.collection, found.score) for found in best_first(passages)] == [("two", 0.8), ("two", 0.5)]
