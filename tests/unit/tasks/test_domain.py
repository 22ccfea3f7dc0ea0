"""The rules of a task's life."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.tasks.domain import CANCELLABLE, TRANSITIONS, RetryPolicy, TaskStatus, are_attempts_used_up, storable
from services.tasks.models import Task

FINAL = {TaskStatus.SUCCEEDED, TaskStatus.FAILED, TaskStatus.CANCELLED, TaskStatus.EXPIRED}


def test_every_state_is_in_the_table() -> None:
    assert set(TRANSITIONS) == set(TaskStatus)
    assert {status for status in TaskStatus if not TRANSITIONS[status]} == FINAL


@given(st.lists(st.sampled_from(TaskStatus), max_size=30))
def test_a_final_state_never_changes(wishes: list[TaskStatus]) -> None:
    status, path = TaskStatus.QUEUED, [TaskStatus.QUEUED]
    for wish in wishes:
        if wish in TRANSITIONS[status]:
            status = wish
            path.append(status)

    assert all(TRANSITIONS[one] for one in path[:-1])


@pytest.mark.parametrize("status", TaskStatus)
def test_every_state_can_be_reached(status: TaskStatus) -> None:
    reachable, before = {TaskStatus.QUEUED}, set[TaskStatus]()
    while reachable != before:
        before = reachable
        reachable = reachable | {following for one in reachable for following in TRANSITIONS[one]}

    assert status in reachable


def test_what_waits_or_runs_can_be_cancelled() -> None:
    assert CANCELLABLE == [TaskStatus.QUEUED, TaskStatus.RUNNING]


@given(st.integers(1, 10_000), st.floats(0.01, 60), st.floats(60, 3600))
def test_a_retry_waits_no_longer_than_its_ceiling(attempt: int, base: float, cap: float) -> None:
    policy = RetryPolicy(base, cap)

    assert 0 <= policy.delay_seconds(attempt) <= policy.ceiling_seconds(attempt) <= cap


def test_the_ceiling_doubles_up_to_the_cap() -> None:
    policy = RetryPolicy(base_seconds=1, cap_seconds=10)

    assert [policy.ceiling_seconds(attempt) for attempt in range(1, 7)] == [1, 2, 4, 8, 10, 10]


def test_the_jitter_is_full() -> None:
    policy = RetryPolicy(base_seconds=8, cap_seconds=8)
    delays = [policy.delay_seconds(1) for _ in range(4000)]

    assert abs(sum(delays) / len(delays) - 4) < 0.8 * 0.5
    assert min(delays) < 0.8
    assert max(delays) > 7.2


@pytest.mark.parametrize(
    ("attempt", "interruptions", "used_up"), [(1, 0, False), (3, 0, True), (3, 1, False), (4, 1, True)]
)
def test_interruptions_are_not_held_against_a_task(attempt: int, interruptions: int, used_up: bool) -> None:
    counts = SimpleNamespace(attempt=attempt, interruptions=interruptions, max_attempts=3)

    assert are_attempts_used_up(counts) is used_up


def test_the_database_counts_attempts_by_the_same_rule() -> None:
    assert str(are_attempts_used_up(Task)) == "task.attempt - task.interruptions >= task.max_attempts"


@given(st.text())
def test_what_is_storable_is_text_that_postgresql_keeps(text: str) -> None:
    kept = storable(text, 10)

    assert "\x00" not in kept
    assert len(kept) <= 10
    kept.encode()


def test_the_wishes_of_a_task_come_before_its_kinds_and_these_before_the_installations() -> None:
    policy = RetryPolicy(1, 300).changed({"base_seconds": 4, "jitter": "none"}).changed({"base_seconds": 8})

    assert [policy.delay_seconds(attempt) for attempt in (1, 2, 20)] == [8, 16, 300]
    assert RetryPolicy(1, 300).changed(None) == RetryPolicy(1, 300)
