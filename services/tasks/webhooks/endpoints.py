"""`/tasks/webhooks`."""

from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from services.tasks.dependencies import Deliveries, Reader, Webhooks, Writer
from services.tasks.errors import (
    KindUnknown,
    RotatedTooOften,
    TooManyWebhooks,
    WebhookDeliveryNotFound,
    WebhookDisabled,
    WebhookExists,
    WebhookNotFound,
    WebhookOfAnother,
    WebhookUrlRefused,
)
from services.tasks.webhooks.domain import DeliveryStatus
from services.tasks.webhooks.schemas import (
    DeliveryDetail,
    DeliveryRead,
    Replayed,
    ReplayFailed,
    SecretRotation,
    WebhookCreate,
    WebhookCreated,
    WebhookRead,
    WebhookUpdate,
)
from shared.door import GuardedRoute, IdempotencyKeyRefused, IdempotentRoute, Keyed, KeylessRoute
from shared.errors import PreconditionFailed, responses
from shared.resources import Cursor, IfMatch, Limit, Page, describe, described
from shared.schemas import Id

_PREFIX: Final = "/api/v1/tasks/webhooks"
router = APIRouter(prefix=_PREFIX, tags=["webhooks"], route_class=GuardedRoute)
minting = APIRouter(prefix=_PREFIX, tags=["webhooks"], route_class=KeylessRoute)
creating = APIRouter(prefix=_PREFIX, tags=["webhooks"], route_class=IdempotentRoute)

_TAG: Final = "the version, for `If-Match`"
_TAGGED: Final = described(tag=_TAG)
_CREATED: Final = described(tag=_TAG, location="the webhook")
_WRONG = (WebhookUrlRefused, KindUnknown, WebhookExists)
Status = Annotated[DeliveryStatus | None, Query(description="only such", examples=["failed"])]


@minting.post(
    "",
    operation_id="tasks_create_webhook",
    summary="Create a webhook",
    status_code=201,
    response_model=WebhookCreated,
    responses={**responses(TooManyWebhooks, *_WRONG, IdempotencyKeyRefused), 201: _CREATED},
)
async def create(body: WebhookCreate, caller: Writer, webhooks: Webhooks, response: Response) -> WebhookCreated:
    """Have events posted to a URL, signed as Standard Webhooks says, again and again until it answers 2xx.

    The secret is shown this once. It acts with the credential this is asked with: when that ends it is disabled, and
    says so. A user has one webhook a URL, so a repetition of this makes no second one.
    """
    made = await webhooks.create(caller, body)
    describe(response, version=made.webhook.version, location=f"{_PREFIX}/{made.webhook.id}")
    return WebhookCreated.with_secret(*made)


@router.get("", operation_id="tasks_list_webhooks", summary="List webhooks")
async def list_page(caller: Reader, webhooks: Webhooks, limit: Limit = 20, cursor: Cursor = None) -> Page[WebhookRead]:
    """The caller's own, newest first; with `tasks:tenant` those of the whole tenant."""
    return (await webhooks.list_page(caller, limit, cursor)).page(WebhookRead.of)


@router.get(
    "/{id}",
    operation_id="tasks_get_webhook",
    summary="Read a webhook",
    responses={**responses(WebhookNotFound), 200: _TAGGED},
)
async def get(id: Id, caller: Reader, webhooks: Webhooks, response: Response) -> WebhookRead:
    """The webhook; nobody reads its secret."""
    webhook = await webhooks.get(caller, id)
    describe(response, version=webhook.version)
    return WebhookRead.of(webhook)


@router.patch(
    "/{id}",
    operation_id="tasks_update_webhook",
    summary="Change a webhook",
    responses={
        **responses(WebhookNotFound, WebhookOfAnother, TooManyWebhooks, PreconditionFailed, *_WRONG),
        200: _TAGGED,
    },
)
async def update(
    id: Id, body: WebhookUpdate, caller: Writer, webhooks: Webhooks, response: Response, if_match: IfMatch = None
) -> WebhookRead:
    """Replace the given fields. Changed by its maker, it acts with the credential this is asked with from now on.

    With `tasks:tenant` one may disable and enable another's.
    """
    webhook = await webhooks.update(caller, id, body, if_match)
    describe(response, version=webhook.version)
    return WebhookRead.of(webhook)


@router.delete(
    "/{id}",
    operation_id="tasks_delete_webhook",
    summary="Delete a webhook",
    status_code=204,
    responses=responses(WebhookNotFound, PreconditionFailed),
)
async def delete(id: Id, caller: Writer, webhooks: Webhooks, if_match: IfMatch = None) -> None:
    """Delete a webhook with its deliveries; what is being sent at this moment may still arrive."""
    await webhooks.delete(caller, id, if_match)


@minting.post(
    "/{id}/rotate",
    operation_id="tasks_rotate_webhook",
    summary="Rotate the secret of a webhook",
    status_code=201,
    response_model=WebhookCreated,
    responses={**responses(WebhookNotFound, WebhookOfAnother, RotatedTooOften, IdempotencyKeyRefused), 201: _TAGGED},
)
async def rotate(
    id: Id, body: SecretRotation, caller: Writer, webhooks: Webhooks, response: Response
) -> WebhookCreated:
    """A new secret, shown this once. Through the overlap messages bear a signature of each, so that nothing is lost."""
    made = await webhooks.rotate(caller, id, timedelta(seconds=body.overlap_seconds))
    describe(response, version=made.webhook.version)
    return WebhookCreated.with_secret(*made)


@creating.post(
    "/{id}/test",
    operation_id="tasks_test_webhook",
    summary="Try a webhook",
    status_code=202,
    responses=responses(WebhookNotFound, WebhookDisabled, WebhookDeliveryNotFound),
)
async def test(id: Id, caller: Writer, deliveries: Deliveries, once: Keyed) -> DeliveryRead:
    """Send `webhook.test`, as any event is sent; the delivery says what became of it.

    Under a key that has made one already it is that one, or 404 where it is no longer kept.
    """
    return DeliveryRead.model_validate(await deliveries.test(caller, id, once))


@router.post(
    "/{id}/replay",
    operation_id="tasks_replay_webhook",
    summary="Send again what failed",
    status_code=200,
    responses=responses(WebhookNotFound, WebhookDisabled),
)
async def replay_failed(id: Id, body: ReplayFailed, caller: Writer, deliveries: Deliveries) -> Replayed:
    """Have the deliveries that failed since a time sent again, the oldest first, under their own `webhook-id`."""
    return await deliveries.replay_failed(caller, id, body)


@router.get(
    "/{id}/deliveries",
    operation_id="tasks_list_webhook_deliveries",
    summary="What was sent to a webhook",
    responses=responses(WebhookNotFound),
)
async def list_deliveries(
    id: Id,
    caller: Reader,
    deliveries: Deliveries,
    status: Status = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[DeliveryRead]:
    """Its deliveries, newest first. They are kept for 30 days, unless the operator says otherwise."""
    found = await deliveries.list_page(caller, id, status, limit, cursor)
    return found.page(DeliveryRead.model_validate)


@router.get(
    "/{id}/deliveries/{delivery_id}",
    operation_id="tasks_get_webhook_delivery",
    summary="Read a delivery",
    responses=responses(WebhookNotFound, WebhookDeliveryNotFound),
)
async def get_delivery(id: Id, delivery_id: Id, caller: Reader, deliveries: Deliveries) -> DeliveryDetail:
    """A delivery with its body and each attempt: when, how long, what the receiver answered.

    It takes the scopes that reading the event itself takes: `chat:read` for one of a run, and `tasks:tenant` or
    `chat:tenant` for one of somebody else.
    """
    return DeliveryDetail.of(*await deliveries.get(caller, id, delivery_id))


@router.post(
    "/{id}/deliveries/{delivery_id}/replay",
    operation_id="tasks_replay_webhook_delivery",
    summary="Send a delivery again",
    status_code=202,
    responses=responses(WebhookNotFound, WebhookDeliveryNotFound, WebhookDisabled),
)
async def replay(id: Id, delivery_id: Id, caller: Writer, deliveries: Deliveries) -> DeliveryRead:
    """Send it once more, whatever became of it, under its own `webhook-id`, by which a receiver knows it."""
    return DeliveryRead.model_validate(await deliveries.replay(caller, id, delivery_id))
