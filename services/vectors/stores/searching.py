"""The use case of searching a store: our search, asked and answered as OpenAI's clients do."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.vectors.collections.domain import Named
from services.vectors.collections.service import CollectionService
from services.vectors.domain import Match, SearchMode, ranked
from services.vectors.ports import Catalogue
from services.vectors.searching.schemas import SearchBatch, SearchRequest
from services.vectors.searching.service import SearchService
from services.vectors.stores.search_schemas import StoreSearch, in_our_words, pointed_at_theirs
from shared.errors import ServiceError
from shared.identity import Caller


@dataclass(frozen=True, slots=True)
class FoundPart:
    """A record that was found, and the file that it is of."""

    match: Match
    file_id: str
    file_name: str


class StoreSearchService:
    """Built once."""

    def __init__(self, catalogue: Catalogue, collections: CollectionService, searches: SearchService) -> None:
        self._catalogue, self._collections, self._searches = catalogue, collections, searches

    async def search(self, caller: Caller, name: str, body: StoreSearch) -> list[FoundPart]:
        """The best of all queries. Raises as `SearchService.search_batch`, pointing at the members of `body`."""
        collection = await self._collections.look_up(caller, Named.to_read(name))
        mode = self._mode(body, self._collections.engine_of(collection).capabilities().modes)
        given = None if body.filters is None else in_our_words(body.filters)
        searches = [
            SearchRequest(
                collection=collection.name,
                query=query,
                k=body.max_num_results,
                filter=given,
                mode=mode,
                min_score=body.ranking_options.score_threshold,
            )
            for query in body.query
        ]
        try:
            found = await self._searches.search_batch(caller, SearchBatch(searches=searches))
        except ServiceError as error:
            raise pointed_at_theirs(error) from error
        best: dict[str, Match] = {}
        for match in (hit.match for one in found.found for hit in one.hits):
            if match.id not in best or match.score > best[match.id].score:
                best[match.id] = match
        matches = ranked(list(best.values()))[: body.max_num_results]
        ids = [_document_of(match) for match in matches]
        names = {
            one.file_id: one.file_name
            for one in await self._catalogue.find_attachments(collection, list(dict.fromkeys(ids)))
        }
        return [
            FoundPart(match, file_id, names.get(file_id, file_id)) for match, file_id in zip(matches, ids, strict=True)
        ]

    @staticmethod
    def _mode(body: StoreSearch, modes: Sequence[SearchMode]) -> SearchMode:
        """By meaning and by words where the engine has both."""
        wants_both = body.ranking_options.ranker == "auto"
        return SearchMode.HYBRID if wants_both and SearchMode.HYBRID in modes else SearchMode.DENSE


def _document_of(match: Match) -> str:
    """The file, or of what came by another door the document, or the record itself."""
    document = match.metadata.get("document_id")
    return document if isinstance(document, str) else match.id
