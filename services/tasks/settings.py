"""What tasks and its worker need to know beyond what every service does."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator

from services.tasks.domain import Priority, RetryPolicy
from services.tasks.keeping import Keeping
from services.tasks.schemas import KindName
from shared.outbound import AllowedText
from shared.schemas import Id
from shared.settings import ClientSettings

Seconds = Annotated[float, Field(ge=0.05, le=7 * 86_400)]
Days = Annotated[float, Field(ge=1, le=3650)]
Tenant = Annotated[Id, AfterValidator(str.lower)]


class Settings(ClientSettings):
    """The API's."""

    port: int = Field(default=10205, ge=1, le=65535, description="port to listen on")

    # PostgreSQL
    database_url: SecretStr = Field(description="`postgresql+asyncpg://user:password@host:port/`, the server")
    database_name: str = Field(default="tasks", pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="tasks' own database")

    # RabbitMQ
    queue_prefix: str = Field(
        default="tasks",
        pattern=r"^[a-z][a-z0-9_.-]{0,63}$",
        description="begins the names of exchanges and queues, so that installations can share a broker",
    )

    # Webhooks
    secret_encryption_key: SecretStr = Field(
        description="32 bytes in URL-safe base64: seals the secrets of webhooks in PostgreSQL. Several by comma: the "
        "first seals, each opens"
    )
    outbound_allow: AllowedText = Field(
        default="",
        max_length=4096,
        description="networks, addresses and host names, by comma, that webhooks may go to though they are not public",
    )

    # Kinds
    task_kinds: str = Field(
        default="",
        max_length=200,
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*)?$",
        description="a module of one's own whose `KINDS` are added to those there are; the API and the workers must "
        "find it",
    )

    task_kind_limits: dict[KindName, Annotated[int, Field(ge=1, le=10_000)]] = Field(
        default_factory=dict,
        max_length=100,
        description='JSON, `{"vectors.ingest": 4}`: how many tasks of a kind run at once in all workers, in place of '
        "what the kind says; the same for the API and the workers",
    )

    # Bounds
    max_input_bytes: int = Field(default=2**20, ge=1024, le=2**20, description="of a task's input as JSON")
    max_submits_waiting: int = Field(
        default=1000, ge=1, le=100_000, description="submits that may wait for the database; more answer 503"
    )

    # Streams of events
    max_streams: int = Field(
        default=1024, ge=1, le=100_000, description="followers of tasks at once in one process; more answer 503"
    )
    stream_heartbeat_seconds: float = Field(
        default=15.0, gt=0, le=60, description="between comments of a silent stream of events"
    )
    stream_look_seconds: float = Field(
        default=0.2, ge=0.02, le=10, description="between two looks for what is new to followers of tasks"
    )

    # Health
    queue_warn_seconds: float = Field(
        default=120,
        ge=1,
        le=86_400,
        description="a task that is due and waits this long for a worker is a warning: longer than one that was lost "
        "takes to be sent again",
    )
    webhook_warn_seconds: float = Field(
        default=120,
        ge=1,
        le=86_400,
        description="a delivery that is due, and that nobody sends for so long, is a warning: longer than a claim of a "
        "worker that was killed takes to lapse",
    )


class WorkerSettings(Settings):
    """The worker's. It has the API's identity, database and queues."""

    port: int = Field(default=10219, ge=1, le=65535, description="port of health and metrics")
    client_id: str = Field(default="tasks", pattern=r"^[a-z-]{1,32}$", description="the worker is tasks to auth")

    # Slots: how many tasks of a priority run at once in one worker; a user has a quarter of them, a tenant
    # half; kinds that may borrow have more while others need them not
    high_slots: int = Field(
        default=32,
        ge=1,
        le=500,
        description="tasks of high priority that run at once; a quarter of them is one user's share, half one tenant's",
    )
    normal_slots: int = Field(default=32, ge=1, le=500, description="the same of normal priority")
    low_slots: int = Field(default=8, ge=1, le=500, description="the same of low priority")

    # Leases
    lease_seconds: float = Field(default=30, ge=1, le=600, description="a silent worker's task is taken back after")
    heartbeat_seconds: float = Field(
        default=1, ge=0.05, le=60, description="between two looks at cancel requests and writes of progress"
    )

    # Reconciliation
    reconcile_seconds: float = Field(default=1, ge=0.05, le=60, description="between two looks for due and lost tasks")
    republish_seconds: float = Field(
        default=60, ge=0.5, le=3600, description="a task that waits this long while its queue is empty is sent again"
    )
    expire_days: float = Field(default=7, gt=0, le=365, description="a task that could not start for so long expires")

    # Retention
    retention_days: Days = Field(
        default=90, description="a task is kept so long after its end, where nothing closer to it says otherwise"
    )
    retention_days_of_kinds: dict[KindName, Days] = Field(
        default_factory=dict, max_length=200, description='JSON, `{"echo": 1}`: the same of a kind'
    )
    retention_days_of_tenants: dict[Tenant, dict[KindName, Days]] = Field(
        default_factory=dict,
        max_length=1000,  # Linux holds 128 KiB in a variable
        description='JSON, `{"01890a5d-…": {"*": 30, "vectors.ingest": 365}}`: the same of a tenant, of all its kinds '
        "or of one; it comes before what is said of the kind",
    )

    # Deliveries to webhooks
    webhook_slots: int = Field(
        default=64,
        ge=4,
        le=500,
        description="deliveries at once in one worker, at most a quarter of them one user's and half one tenant's",
    )
    webhook_slots_each: int = Field(default=8, ge=1, le=100, description="of these, to one webhook")
    webhook_timeout_seconds: float = Field(default=15, gt=0, le=60, description="for a receiver to answer")
    webhook_waits: list[Seconds] = Field(
        default=[5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400],
        max_length=30,
        description="seconds between the attempts of a delivery; after the last one it has failed",
    )
    webhook_failing_days: float = Field(
        default=5, gt=0, le=365, description="a webhook to which nothing has arrived for so long is disabled"
    )
    webhook_max_waiting: int = Field(
        default=100_000, ge=10, le=10_000_000, description="one for which more deliveries wait is disabled"
    )
    webhook_max_waiting_of_tenant: int = Field(
        default=200_000,
        ge=10,
        le=100_000_000,
        description="of a tenant for whose webhooks more wait the one is disabled for which most do",
    )
    webhook_max_kept: int = Field(
        default=100_000,
        ge=10,
        le=10_000_000,
        description="deliveries of one webhook that are kept; older ones that are over go before their days",
    )
    webhook_retention_days: float = Field(default=30, ge=1, le=3650, description="deliveries are kept for so long")
    webhook_look_seconds: float = Field(
        default=1, ge=0.05, le=60, description="between two looks for deliveries that are due"
    )

    # Retries
    retry_base_seconds: float = Field(default=1, gt=0, le=60, description="longest wait before the second attempt")
    retry_cap_seconds: float = Field(default=300, gt=0, le=3600, description="longest wait before any attempt")

    absence_seconds: float = Field(
        default=3600,
        ge=0,
        le=7 * 86_400,
        description="since its first attempt a task is tried again, without using up attempts, while what it needs is "
        "away or overloaded; after that such failures count",
    )

    max_result_bytes: int = Field(default=2 * 2**20, ge=1024, le=16 * 2**20, description="of a task's result as JSON")

    @model_validator(mode="after")
    def _heartbeats_fit_into_the_lease(self) -> "WorkerSettings":
        if self.heartbeat_seconds * 3 > self.lease_seconds:
            raise ValueError("lease_seconds must be at least three times heartbeat_seconds")
        return self

    @property
    def keeping(self) -> Keeping:
        return Keeping(self.retention_days, self.retention_days_of_kinds, self.retention_days_of_tenants)

    @property
    def slots(self) -> dict[Priority, int]:
        return {Priority.HIGH: self.high_slots, Priority.NORMAL: self.normal_slots, Priority.LOW: self.low_slots}

    @property
    def retry_policy(self) -> RetryPolicy:
        return RetryPolicy(self.retry_base_seconds, self.retry_cap_seconds)
