"""What tasks refuses, and what a kind may fail with.

NotFound   TaskNotFound · ScheduleNotFound · WebhookNotFound · WebhookDeliveryNotFound
Conflict   TaskFinished · TaskNotFailed · TaskSettled · KeyBusy · LineFull · TooManyFollowers · TooManySchedules
           WebhookExists · TooManyWebhooks · WebhookDisabled · WebhookOfAnother · RotatedTooOften
Invalid    KindUnknown · InputInvalid · InputTooLarge · RunAtTooFar · StartsTooLate · EventUnknown
           CronInvalid · CronNever · TimeZoneUnknown · EndsTooSoon: of schedules
           WebhookUrlRefused
Unavailable  DocumentInUse: the error of a task that waited in vain · StreamsFull
Exception  PermanentFailure: raised by a kind in the worker, never answered over HTTP
"""

from shared.errors import Conflict, Invalid, NotFound, ServiceError, Unavailable


class TaskNotFound(NotFound):
    code = "tasks.not_found"
    meaning = "There is no such task, or it is another's: of another tenant, or of another member of one's own."
    default_detail = "There is no such task."


class TaskFinished(Conflict):
    """A terminal state never changes."""

    code = "tasks.already_finished"
    meaning = "The task has ended; its state never changes again."

    def __init__(self, status: str) -> None:
        super().__init__(f"The task is {status} already.")


class TaskNotFailed(Conflict):
    code = "tasks.not_failed"
    meaning = "Only a task that has failed is replayed or discarded."

    def __init__(self, status: str) -> None:
        super().__init__(f"The task is {status}; only one that has failed is replayed or discarded.")


class TaskSettled(Conflict):
    code = "tasks.already_settled"
    meaning = "The failed task was replayed before (`replayed_as` of the task says as which), or discarded."

    def __init__(self, replayed_as: str | None) -> None:
        super().__init__(
            f"The task was replayed already, as {replayed_as}." if replayed_as else "The task was discarded already.",
            members={"replayed_as": replayed_as} if replayed_as else None,
        )


class KeyBusy(Conflict):
    code = "tasks.key_busy"
    meaning = "Another task of the tenant has this concurrency key and has not ended."
    default_detail = "Another task with this key has not ended."


class LineFull(Conflict):
    code = "tasks.line_full"
    meaning = (
        "As many tasks of the tenant wait for this concurrency key as may; submit it when some of them have ended."
    )

    def __init__(self, most: int) -> None:
        super().__init__(f"{most:,} tasks wait for this key already.")


class TooManyFollowers(Conflict):
    code = "tasks.too_many_followers"
    meaning = "As many tasks wait for the end of one of those in `after` as may; have this one wait for one of them."

    def __init__(self, task_id: str, most: int) -> None:
        super().__init__(f"{most} tasks wait for the end of {task_id} already.")


class KindUnknown(Invalid):
    code = "tasks.kind_unknown"
    meaning = "There is no kind of task with this name; `GET /api/v1/tasks/kinds` lists them."

    def __init__(self, kind: str, at: str = "/kind") -> None:
        detail = f"There is no kind of task named {kind!r}."
        super().__init__(detail, at=(at, "unknown"))


class InputInvalid(Invalid):
    """The kind's own model refused the input; `errors` point into `/input`."""

    code = "tasks.input_invalid"
    meaning = "The input does not fit the kind; `errors` points into it."
    default_detail = "The input does not fit this kind of task."


class InputTooLarge(Invalid):
    code = "tasks.input_too_large"
    meaning = "The input is larger as JSON than a task may carry."

    def __init__(self, size: int, limit: int) -> None:
        detail = f"The input has {size} bytes as JSON; {limit} are allowed."
        super().__init__(detail, at=("/input", "too_large"))


class RunAtTooFar(Invalid):
    code = "tasks.run_at_too_far"
    meaning = "The task is scheduled further ahead than allowed."

    def __init__(self, days: int) -> None:
        detail = f"A task may be scheduled up to {days} days ahead."
        super().__init__(detail, at=("/run_at", "too_far"))


class EventUnknown(Invalid):
    """An id that no event has had, as after a mix-up of two streams, or of before a restored dump."""

    code = "tasks.event_unknown"
    meaning = "`Last-Event-ID` names an event that there was not: leave it out to begin anew."

    def __init__(self, event_id: str) -> None:
        super().__init__(f"There was no event {event_id!r}.", at=("header/Last-Event-ID", "unknown_event"))


class StreamsFull(Unavailable):
    """As many followers at once as this process may have; the tasks go on."""

    code = "tasks.streams_full"
    meaning = "Too many streams of events at once; the tasks go on, and another replica may have room."

    def __init__(self) -> None:
        super().__init__("tasks", retry_after_seconds=2, detail="Too many streams at once; try again in a moment.")


class StartsTooLate(Invalid):
    code = "tasks.starts_too_late"
    meaning = "The task would be due only after the time before which it is to start."

    def __init__(self) -> None:
        super().__init__("`start_before` must be later than now and than `run_at`.", at=("/start_before", "too_early"))


class ScheduleNotFound(NotFound):
    code = "tasks.schedule_not_found"
    meaning = "There is no such schedule, or it is another's."
    default_detail = "There is no such schedule."


class TooManySchedules(Conflict):
    code = "tasks.too_many_schedules"
    meaning = "The user has as many schedules as one may have; delete one first."

    def __init__(self, most: int) -> None:
        super().__init__(f"A user may have {most} schedules.")


class CronInvalid(Invalid):
    code = "tasks.cron_invalid"
    meaning = "The cron expression cannot be read; it has five fields."

    def __init__(self, why: str) -> None:
        super().__init__(f"The cron expression cannot be read. {why}", at=("/cron", "unreadable"))


class CronNever(Invalid):
    code = "tasks.cron_never"
    meaning = "The cron expression names a time that never comes, or none before the schedule ends."

    def __init__(self) -> None:
        super().__init__("The cron expression names a time that never comes.", at=("/cron", "never"))


class TimeZoneUnknown(Invalid):
    code = "tasks.time_zone_unknown"
    meaning = "There is no time zone with this name in the IANA database."

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no time zone named {name!r}.", at=("/time_zone", "unknown"))


class EndsTooSoon(Invalid):
    code = "tasks.ends_too_soon"
    meaning = "The schedule would end before it is first due."

    def __init__(self) -> None:
        super().__init__("The schedule would end before it is first due.", at=("/ends_at", "too_soon"))


class WebhookNotFound(NotFound):
    code = "tasks.webhook_not_found"
    meaning = "There is no such webhook, or it is another's."
    default_detail = "There is no such webhook."


class WebhookDeliveryNotFound(NotFound):
    code = "tasks.webhook_delivery_not_found"
    meaning = "The webhook has no such delivery; they are kept for 30 days, unless the operator says otherwise."
    default_detail = "There is no such delivery."


class WebhookExists(Conflict):
    code = "tasks.webhook_exists"
    meaning = "The user has a webhook with this URL already (`webhook_id` names it); change that one."

    def __init__(self, webhook_id: str) -> None:
        detail = f"The webhook {webhook_id} has this URL already."
        super().__init__(detail, members={"webhook_id": webhook_id})


class TooManyWebhooks(Conflict):
    code = "tasks.too_many_webhooks"
    meaning = (
        "The user, or the tenant, has as many webhooks as one may have, or as many that cover the tenant; delete one "
        "first."
    )


class WebhookDisabled(Conflict):
    code = "tasks.webhook_disabled"
    meaning = "The webhook is disabled, and nothing is sent to it; enable it first."
    default_detail = "The webhook is disabled; enable it first."


class WebhookOfAnother(Conflict):
    """For one that the caller sees by `tasks:tenant`."""

    code = "tasks.webhook_of_another"
    meaning = (
        "Where a webhook of another member goes, what it tells and its secret only its maker changes; others may "
        "disable, enable and delete it."
    )
    default_detail = "Only its maker changes this; you may disable, enable or delete it."


class RotatedTooOften(Conflict):
    code = "tasks.webhook_rotated_too_often"
    meaning = "As many older secrets are valid as may be; wait for one to end, or end them all (`overlap_seconds`: 0)."

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} older secrets are valid still; with `overlap_seconds` 0 they all end.")


class WebhookUrlRefused(Invalid):
    code = "tasks.webhook_url_refused"
    meaning = "The URL is none that webhooks may go to: `detail` says why."

    def __init__(self, detail: str) -> None:
        super().__init__(detail, at=("/url", "refused"))


class DocumentInUse(Unavailable):
    code = "tasks.document_in_use"
    meaning = "Another task is ingesting a document of the same id into the same collection."

    def __init__(self) -> None:
        detail = "Another task is ingesting a document of the same id into the same collection; this one follows it."
        super().__init__("tasks", retry_after_seconds=1, detail=detail)


class PermanentFailure(Exception):
    """Raised by a kind when trying again cannot help. `code` and `detail` become the task's error."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


# 4xx that pass: a token that ran out, a request that was too slow, too early or one too many.
_PASSING = frozenset({401, 408, 425, 429})
_PASSING_CODES = frozenset({"common.idempotency_key_in_use"})
_SERVER_ERROR = 500


def may_pass(error: ServiceError) -> bool:
    """Whether asking again can help."""
    return error.status >= _SERVER_ERROR or error.status in _PASSING or error.code in _PASSING_CODES


def retry_after(error: ServiceError) -> int:
    """In seconds; 0 where the error names none, or a date."""
    given = error.headers.get("Retry-After", "")
    return int(given) if given.isascii() and given.isdecimal() else 0
