"""Searches as callers see them."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from services.vectors.collections.schemas import CollectionName
from services.vectors.domain import (
    CANDIDATES,
    MAX_BATCH,
    MAX_BATCH_K,
    MAX_CANDIDATES,
    MAX_GROUP_SIZE,
    MAX_K,
    MAX_METADATA_KEY_CHARS,
    MAX_TEXT_CHARS,
    EngineName,
    MetadataScalar,
    SearchMode,
)
from services.vectors.records.fields import Vector
from services.vectors.records.filter_schema import FilterField
from services.vectors.records.filters import parse
from services.vectors.searching.domain import AllFound, Found, Hit
from services.vectors.terms import AllOf, Condition, has_field
from shared.schemas import LargeModel, ResponseModel, Text

_SCORE = 3.4e38  # engines reckon with 32 bits
Weight = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Weights(LargeModel):
    """How much either list counts in a hybrid search."""

    dense: Weight = 1.0
    keyword: Weight = 1.0

    @model_validator(mode="after")
    def _one_counts(self) -> "Weights":
        if not self.dense + self.keyword:
            raise PydanticCustomError("weights_zero", "One of the weights must be more than 0.")
        return self


class SearchRequest(LargeModel):
    """By meaning (`dense`: words or a vector), by `keyword` (words), or `hybrid` (words; a vector may stand for their
    meaning)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"collection": "tea", "query": "How hot is the water for green tea?", "k": 3}]}
    )

    collection: CollectionName
    query: (
        Annotated[Text, Field(min_length=1, max_length=MAX_TEXT_CHARS, examples=["how do I rotate keys?"])] | None
    ) = None
    vector: Vector | None = None
    k: int = Field(default=10, ge=1, le=MAX_K, description="how many results at most; with `group_by`, groups")
    filter: FilterField | None = None
    mode: SearchMode = Field(default=SearchMode.DENSE, description="what an engine offers: GET /vectors/engines")
    weights: Weights | None = Field(default=None, description="of a hybrid search: 1 and 1 unless told")
    min_score: float | None = Field(
        default=None, ge=-_SCORE, le=_SCORE, description="leaves out what scores less; its scale is that of the mode"
    )
    exact: bool = Field(default=False, description="miss none of the nearest, however long that takes")
    group_by: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_METADATA_KEY_CHARS,
        description=f"a metadata field: its values in the {MAX_K:,} best records that have it make the groups",
        examples=["source"],
    )
    group_size: int = Field(default=1, ge=1, le=MAX_GROUP_SIZE, description="results of one group at most")
    rerank: bool = Field(
        default=False,
        description="have the best put in order by a model that reads `query` and their texts; what has no text is "
        "left out. Whether there is such a model: GET /vectors/engines",
    )
    rerank_candidates: int | None = Field(
        default=None,
        ge=1,
        le=MAX_CANDIDATES,
        description=f"of how many of the best by `mode` the model makes its order; {CANDIDATES}, or `k` where that is "
        "more, unless told",
    )

    @model_validator(mode="after")
    def _asks_for_what_its_mode_needs(self) -> "SearchRequest":
        if self.mode is SearchMode.DENSE and (self.query is None) is (self.vector is None):
            raise PydanticCustomError("query_or_vector", "Give either 'query' or 'vector'.")
        if self.mode is not SearchMode.DENSE and self.query is None:
            raise PydanticCustomError("query_missing", "A {mode} search needs 'query'.", {"mode": self.mode.value})
        if self.mode is SearchMode.KEYWORD and self.vector is not None:
            raise PydanticCustomError("vector_unused", "A keyword search takes no 'vector'.")
        if self.mode is not SearchMode.HYBRID and self.weights is not None:
            raise PydanticCustomError("weights_unused", "Only a hybrid search takes 'weights'.")
        return self

    @model_validator(mode="after")
    def _groups_are_few(self) -> "SearchRequest":
        if self.group_by is None and "group_size" in self.model_fields_set:
            raise PydanticCustomError("group_size_unused", "'group_size' needs 'group_by'.")
        if self.k * self.group_size > MAX_K:
            raise PydanticCustomError("too_many_results", "'k' times 'group_size' may be {most}.", {"most": MAX_K})
        return self

    @model_validator(mode="after")
    def _reranks_what_it_asks_for(self) -> "SearchRequest":
        if not self.rerank:
            if self.rerank_candidates is not None:
                raise PydanticCustomError("candidates_unused", "'rerank_candidates' needs 'rerank'.")
            return self
        if self.query is None:
            raise PydanticCustomError("rerank_query_missing", "'rerank' needs 'query', which its model reads.")
        if self.k * self.group_size > (self.rerank_candidates or MAX_CANDIDATES):
            raise PydanticCustomError(
                "too_few_candidates",
                "With 'rerank', 'k' times 'group_size' may be 'rerank_candidates', and that {most}.",
                {"most": MAX_CANDIDATES},
            )
        return self

    @property
    def candidates(self) -> int:
        """How many are put in order by the model; 0 where none does."""
        return (self.rerank_candidates or max(CANDIDATES, self.k * self.group_size)) if self.rerank else 0

    def condition(self) -> Condition | None:
        """The filter, and that the field to group by is there. Raises FilterInvalid."""
        asked = None if self.filter is None else parse(self.filter)
        if self.group_by is None:
            return asked
        return AllOf((asked, has_field(self.group_by))) if asked else has_field(self.group_by)


class SearchMatch(ResponseModel):
    """One result."""

    id: str
    score: float = Field(
        description="higher is better; `hybrid`: at most 1, which is first in both lists; with `rerank` its model's own"
    )
    text: str | None
    metadata: dict[str, Any]
    group: MetadataScalar | None = Field(description="with `group_by`: the value it stands under; a list, under each")

    @classmethod
    def of(cls, hit: Hit) -> "SearchMatch":
        match = hit.match
        return cls(id=match.id, score=match.score, text=match.text, metadata=dict(match.metadata), group=hit.group)


class SearchResult(ResponseModel):
    """Best first, equal scores by id; with `group_by` group by group, the group of the best first."""

    collection: str
    engine: EngineName
    results: list[SearchMatch]
    reranked_by: str | None = Field(description="the model that put them in order; null without `rerank`")
    took_ms: float = Field(description="embedding the query included; in a batch without it")

    @classmethod
    def of(cls, found: Found) -> "SearchResult":
        return cls(
            collection=found.collection.name,
            engine=found.collection.engine,
            results=[SearchMatch.of(hit) for hit in found.hits],
            reranked_by=found.reranked_by,
            took_ms=found.took_ms,
        )


class SearchBatch(LargeModel):
    """Searches to be done at once, each of a collection of its own."""

    searches: list[SearchRequest] = Field(
        min_length=1, max_length=MAX_BATCH, examples=[[{"collection": "handbook", "query": "how do I rotate keys?"}]]
    )

    @model_validator(mode="after")
    def _asks_for_what_one_answer_holds(self) -> "SearchBatch":
        if sum(one.candidates or one.k * one.group_size for one in self.searches) > MAX_BATCH_K:
            raise PydanticCustomError(
                "too_many_results",
                "All 'k' of a batch, or candidates where they are reranked, may be {most} together.",
                {"most": MAX_BATCH_K},
            )
        return self


class SearchBatchResult(ResponseModel):
    """`results` in the order of the searches."""

    results: list[SearchResult]
    took_ms: float = Field(description="of all of it, embedding included")

    @classmethod
    def of(cls, all_found: AllFound) -> "SearchBatchResult":
        return cls(results=[SearchResult.of(found) for found in all_found.found], took_ms=all_found.took_ms)
