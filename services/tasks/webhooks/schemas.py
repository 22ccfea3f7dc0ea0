"""Webhooks and deliveries on the wire."""

from typing import Annotated, Any, Self

from pydantic import MISSING, Field

from services.tasks.schemas import KindName, TaskFailure
from services.tasks.webhooks.domain import LONGEST_ANSWER, LONGEST_URL, AttemptError, Covers, DeliveryStatus, EventType
from services.tasks.webhooks.models import Webhook, WebhookAttempt, WebhookDelivery
from services.tasks.webhooks.secrets import valid_until
from shared.schemas import Id, Moment, RequestModel, ResponseModel, SecretModel, Text, UtcDatetime

MOST_AT_ONCE = 1000
"""Deliveries that one request has replayed."""

Url = Annotated[
    Text,
    Field(
        min_length=1,
        max_length=LONGEST_URL,
        description="where events are posted to; https or http, and no address that is not public",
        examples=["https://example.com/hooks"],
    ),
]
Events = Annotated[
    list[EventType],
    Field(
        min_length=1,
        max_length=20,
        description="what it is told of: a set. Events of runs take `chat:read`",
        examples=[["task.succeeded", "task.failed"]],
    ),
]
Kinds = Annotated[
    list[KindName],
    Field(
        max_length=50,
        description="of tasks that it is told of; none for any. Refused where no event of a task is told",
        examples=[["agent.run"]],
    ),
]
CoversField = Annotated[
    Covers,
    Field(
        description="`own`: what the maker submits and asks; `tenant`: what everybody of the tenant does, for who may "
        "see that (`tasks:tenant`, and `chat:tenant` for runs)",
        examples=["own"],
    ),
]
Description = Annotated[Text, Field(max_length=500, description="for people", examples=["the nightly import"])]


class WebhookCreate(RequestModel):
    """Whom to tell of what."""

    url: Url
    events: Events
    kinds: Kinds = Field(default_factory=list)
    covers: CoversField = Covers.OWN
    description: Description = ""


class WebhookUpdate(RequestModel):
    """The fields to replace; the others stay."""

    url: Url | MISSING = MISSING
    events: Events | MISSING = MISSING
    kinds: Kinds | MISSING = MISSING
    covers: CoversField | MISSING = MISSING
    description: Description | MISSING = MISSING
    is_enabled: bool | MISSING = Field(
        default=MISSING,
        description="while it is false nothing is recorded for it, and what waited is given up",
        examples=[True],
    )


class SecretRotation(RequestModel):
    """How the old secret ends."""

    overlap_seconds: int = Field(
        default=86_400,
        ge=0,
        le=7 * 86_400,
        strict=True,
        description="how long messages bear the old secret's signature too; at 0 all older ones end now",
        examples=[86_400],
    )


class WebhookRead(ResponseModel):
    """A webhook, without its secret."""

    id: Id
    user_id: str = Field(description="its maker")
    url: str
    description: str
    events: list[EventType]
    kinds: list[str]
    covers: Covers
    is_enabled: bool
    error: TaskFailure | None = Field(description="why it was disabled by itself; null where a person did it")
    disabled_at: UtcDatetime | None
    failing_since: UtcDatetime | None = Field(description="of the first attempt that failed since one succeeded")
    older_secrets_end_at: list[UtcDatetime] = Field(description="of those that messages are signed with besides")
    version: int = Field(description="rises with every change")
    created_at: UtcDatetime

    @classmethod
    def of(cls, webhook: Webhook) -> "WebhookRead":
        return cls(**_shown(webhook))


class WebhookCreated(WebhookRead, SecretModel):
    """A webhook with its new secret, shown this once."""

    secret: str = Field(description="what its receiver verifies with", examples=["whsec_…"])

    @classmethod
    def with_secret(cls, webhook: Webhook, secret: str) -> Self:
        return cls(**_shown(webhook), secret=secret)


def _shown(webhook: Webhook) -> dict[str, Any]:
    error = None
    if webhook.error_code:
        error = TaskFailure(code=webhook.error_code, detail=webhook.error_detail or "")
    names = WebhookRead.model_fields.keys() - {"error", "older_secrets_end_at"}
    shown = {name: getattr(webhook, name) for name in names}
    return shown | {"error": error, "older_secrets_end_at": valid_until(webhook)}


class DeliveryRead(ResponseModel):
    """One event on its way to a webhook."""

    id: Id
    webhook_id: Id
    event_id: str = Field(description="`webhook-id` of each attempt: what a receiver knows a repetition by")
    type: str
    status: DeliveryStatus
    error_code: AttemptError | None = Field(description="of the latest attempt, or why there are no more")
    failures: int = Field(description="attempts that failed, since it was new or replayed")
    next_at: UtcDatetime | None = Field(description="when it is tried next; null when it is over")
    finished_at: UtcDatetime | None
    created_at: UtcDatetime


class DeliveryAttemptRead(ResponseModel):
    """One request that was made for a delivery."""

    number: int = Field(description="rising, with gaps where an attempt was broken off by our own side")
    at: UtcDatetime
    duration_ms: int
    status_code: int | None = Field(description="null where there was no answer")
    error_code: AttemptError | None = Field(description="null where it arrived")
    error_detail: str | None
    answer: str | None = Field(max_length=LONGEST_ANSWER, description="how the receiver's answer begins")


class Payload(ResponseModel):
    """The body of each attempt."""

    type: str
    timestamp: UtcDatetime
    data: dict[str, Any] = Field(description="what is told of an event of this type: ids and words")


class DeliveryDetail(DeliveryRead):
    """A delivery with what is sent and the latest attempts."""

    payload: Payload
    attempts: list[DeliveryAttemptRead] = Field(description="the latest fifty, oldest first")

    @classmethod
    def of(cls, delivery: WebhookDelivery, attempts: list[WebhookAttempt]) -> "DeliveryDetail":
        return cls(
            **DeliveryRead.model_validate(delivery).model_dump(),
            payload=Payload(type=delivery.type, timestamp=delivery.at, data=delivery.data),
            attempts=[DeliveryAttemptRead.model_validate(one) for one in attempts],
        )


class ReplayFailed(RequestModel):
    """Which of the deliveries that failed are sent again."""

    since: Moment = Field(description="of events from then on", examples=["2026-11-27T00:00:00Z"])
    until: Moment | None = Field(default=None, description="and not after; null for now")


class Replayed(ResponseModel):
    """What is sent again."""

    count: int = Field(description=f"deliveries that are due again; {MOST_AT_ONCE} at most")
    is_complete: bool = Field(description="whether there are no more: otherwise ask again")
