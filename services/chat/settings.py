"""What chat needs to know beyond what every service does."""

from typing import Annotated, ClassVar, Final

from pydantic import Field, SecretStr, field_validator

from services.chat.models.configured import DEFAULT_PROVIDER, ModelEntry, ModelName, ProviderEntry
from services.chat.tokens import Vocabulary
from shared.settings import ClientSettings

DELEGATES_PER_RUN: Final = 2
"""Of `max_runs`: then a user's share is as many as one run may have by `tool_steps` and `tool_calls_at_once`."""
_DAY = 86_400
TenantId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$")]
RetentionDays = Annotated[int, Field(ge=1, le=3650)]


class Settings(ClientSettings):
    """Token counts are estimates of this service (`tokens.py`), made to err on the high side."""

    live: ClassVar[tuple[str, ...]] = (
        *ClientSettings.live,
        "llm_model",
        "tokens_per_day_key",
        "tokens_per_day_user",
        "tokens_per_day_tenant",
    )

    port: int = Field(default=10203, ge=1, le=65535, description="port to listen on")

    # Redis
    redis_url: SecretStr = Field(description="`redis://…`: its store, of which nothing may be lost or evicted")
    redis_cache_url: SecretStr | None = Field(
        default=None,
        description="`redis://…`: rate limits, in a server that may evict them; `REDIS_URL` when unset",
    )

    # Language model
    llm_url: str = Field(
        pattern=r"^https?://\S+$",
        max_length=2048,
        description="base of an OpenAI-compatible API, usually ending in `/v1`",
    )
    llm_model: str = Field(
        default="default", min_length=1, max_length=200, description="the model of agents that name none"
    )
    llm_api_key: SecretStr | None = Field(default=None, description="sent as a bearer token when set")
    llm_providers: tuple[ProviderEntry, ...] = Field(
        default=(),
        max_length=32,
        description='more providers, `[{"name", "url", "api_key" or "api_key_file", "models", "headers"}]`: '
        "[which member says what](models.md)",
    )
    llm_models: dict[ModelName, ModelEntry] = Field(
        default_factory=dict,
        max_length=1000,
        description='`{"model": {"window_tokens", "answer_tokens", "prompt_price", "completion_price", "quotes", '
        '"sees", "image_tokens"}}`: counts before what the provider says; [`quotes`](models.md) is for models too '
        "small to write, [`sees`](models.md#models-that-see) for those that take images",
    )
    llm_fallbacks: tuple[ModelName, ...] = Field(
        default=(), max_length=5, description="models that answer, in this order, where the one asked for is away"
    )
    llm_retries: int = Field(
        default=0,
        ge=0,
        le=3,
        description="of one model that is away, before its fallbacks; a tenth of all calls at most",
    )
    llm_list_seconds: float = Field(
        default=60.0, ge=5, le=86_400, description="between two readings of what a provider offers"
    )
    llm_temperature: float | None = Field(default=None, ge=0, le=2, description="the provider's own default when unset")
    llm_connect_seconds: float = Field(default=2.0, gt=0, le=30, description="to open a connection to the model")
    llm_first_token_seconds: float = Field(
        default=90.0, gt=0, le=280, description="from asking to the first piece of text, the prompt's reading included"
    )
    llm_between_tokens_seconds: float = Field(
        default=30.0, gt=0, le=280, description="from one piece of text to the next"
    )
    answer_tokens: int = Field(default=512, ge=1, le=32_768, description="`max_tokens` of an answer")

    # Prompt: what is not set follows from the model's window, which is taken for 4,096 tokens where nobody says
    prompt_tokens: int | None = Field(
        default=None,
        ge=256,
        le=1_000_000,
        description="the whole prompt at most; 6 of 7 parts of what the window leaves beside an answer when unset",
    )
    sources_tokens: int | None = Field(
        default=None, ge=0, le=500_000, description="of it, for retrieved passages; half when unset"
    )
    passage_tokens: int | None = Field(
        default=None,
        ge=32,
        le=100_000,
        description="one passage; longer ones are cut around what speaks of the message; a sixth of it when unset",
    )
    prompt_vocabulary: Vocabulary = Field(
        default=Vocabulary.ENGLISH,
        description="what the model's tokenizer was made of: `multilingual` for the large models of today, for which "
        "other scripts than Latin are estimated at half or less",
    )
    history_tokens: int | None = Field(
        default=None, ge=0, le=500_000, description="of it, for earlier turns; a quarter when unset"
    )
    history_messages: int = Field(default=20, ge=0, le=200, description="earlier messages looked at")

    # Budgets: prompts and answers together, of one day in UTC; none when unset
    tokens_per_day_key: int | None = Field(default=None, ge=1, le=10**12, description="of one API key")
    tokens_per_day_user: int | None = Field(
        default=None, ge=1, le=10**12, description="of one user in one tenant, their keys' included"
    )
    tokens_per_day_tenant: int | None = Field(default=None, ge=1, le=10**12, description="of one tenant")

    # Retrieval
    passages_per_collection: int = Field(default=6, ge=1, le=50, description="`k` of the search in each collection")
    search_seconds: float = Field(default=10.0, gt=0, le=60, description="for one search")
    agent_seconds: float = Field(default=5.0, gt=0, le=60, description="for reading the agent")

    # Runs
    request_limit_seconds: float = Field(
        default=118.0,
        gt=0,
        le=600,
        description="for one request, streams excepted; one a tenth older is ended with 504",
    )
    run_seconds: float = Field(
        default=105.0,
        gt=0,
        le=280,
        description="a whole turn; a tenth more is below what a gateway waits, 120 s in `gateway/kong.yml`",
    )
    run_lease_seconds: float = Field(
        default=5.0, ge=1, le=120, description="after a replica died, its conversations take messages again"
    )
    max_runs: int = Field(default=128, ge=1, le=2000, description="turns at once in one process; more answer 503")
    max_waiting: int = Field(
        default=512,
        ge=1,
        le=20_000,
        description="messages that wait for their turn at once in one process; more answer 503",
    )
    max_queued: int = Field(
        default=10, ge=1, le=100, description="messages that wait for their turn in one conversation (`enqueue`)"
    )
    queue_seconds: float = Field(
        default=300.0, gt=0, le=3600, description="a message waits for its turn at most; then its run fails"
    )
    max_streams: int = Field(
        default=1024, ge=1, le=100_000, description="followers of runs at once in one process; more answer 503"
    )
    delta_window_ms: int = Field(
        default=20, ge=0, le=1000, description="text that arrives within it after a delta goes out as one delta"
    )
    heartbeat_seconds: float = Field(default=15.0, gt=0, le=60, description="between comments of a silent stream")
    run_kept_seconds: int = Field(
        default=_DAY + 600, ge=600, le=7 * _DAY, description="events of a run; above the 24 h of an Idempotency-Key"
    )

    run_mib: int = Field(default=4, ge=1, le=256, description="MiB of events that one run tells at most; then it fails")
    runs_mib_user: int = Field(
        default=32,
        ge=1,
        le=1_000_000,
        description="MiB that the events of one user's runs hold at most; those that ended longest ago give way",
    )
    runs_mib_tenant: int = Field(
        default=96,
        ge=1,
        le=1_000_000,
        description="of one tenant's; with `KEPT_MIB_TENANT` below what Redis has (`maxmemory`)",
    )

    # Tools
    tool_steps: int = Field(
        default=8, ge=1, le=64, description="times a run's model may call tools, its delegates included; then it fails"
    )
    tool_calls_at_once: int = Field(
        default=8, ge=1, le=64, description="calls of one such time that are made, together; more are told off"
    )
    delegation_depth: int = Field(
        default=3, ge=0, le=8, description="agents below the one asked, each handed a task by the one above; 0 for none"
    )
    approval_seconds: float = Field(
        default=_DAY, ge=1, le=7 * _DAY, description="a run waits for approvals; then it fails"
    )
    submit_seconds: float = Field(default=10.0, gt=0, le=60, description="for handing over a task")

    # Conversations
    retention_days: int = Field(default=90, ge=1, le=3650, description="since the last message; then it is forgotten")
    retention_days_by_tenant: dict[TenantId, RetentionDays] = Field(
        default_factory=dict,
        max_length=10_000,
        description='`{"<tenant id>": days}`: of tenants for whom another time holds; what is there already follows '
        "within minutes of a start",
    )
    max_conversations: int = Field(default=10_000, ge=1, le=1_000_000, description="of one user")
    max_messages: int = Field(default=2_000, ge=2, le=100_000, description="of one conversation")
    kept_mib_user: int | None = Field(
        default=64,
        ge=1,
        le=1_000_000,
        description="MiB of messages and metadata that one user's conversations hold at most",
    )
    kept_mib_tenant: int | None = Field(
        default=256, ge=1, le=1_000_000, description="of one tenant's; below what Redis has (`maxmemory`)"
    )

    @field_validator("llm_providers")
    @classmethod
    def _named_once(cls, value: tuple[ProviderEntry, ...]) -> tuple[ProviderEntry, ...]:
        names = [DEFAULT_PROVIDER, *(one.name for one in value)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"names are given once, and `default` is that of LLM_URL: {', '.join(twice)}")
        return value

    @property
    def max_delegates(self) -> int:
        """Agents at once, in one process, that others have handed a task to."""
        return DELEGATES_PER_RUN * self.max_runs

    @property
    def max_generations(self) -> int:
        """That models are asked for at once by one process: a run asks for none while its delegates do."""
        return self.max_runs + self.max_delegates

    @property
    def redis_cache(self) -> tuple[str, str]:
        """The Redis of what may be lost: the setting that says where, and what it says."""
        return (
            ("REDIS_CACHE_URL", self.redis_cache_url.get_secret_value())
            if self.redis_cache_url
            else super().redis_cache
        )
