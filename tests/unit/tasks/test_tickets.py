"""What sends a worker to a task says whose it is and of which kind; what one of before does not say is left open."""

import orjson
import pytest

from services.tasks.domain import Ticket
from services.tasks.kinds.registry import BUILT_IN
from services.tasks.queues import Queues, ticket_in

ID = "01890a5d-ac96-774b-bcce-b302099a8057"
TICKET = Ticket(ID, "tenant", "user", "agent.run")


def test_a_ticket_is_read_as_it_was_written() -> None:
    assert ticket_in(orjson.dumps(Queues("tasks").message(TICKET, "normal")["body"])) == TICKET


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"task_id": ID, "tenant_id": "tenant", "user_id": "user"}, Ticket(ID, "tenant", "user", "")),
        ({"task_id": ID}, Ticket(ID, "", "", "")),
    ],
)
def test_one_of_a_release_before_is_read(said: dict[str, str], expected: Ticket) -> None:
    assert ticket_in(orjson.dumps(said)) == expected


def test_only_what_waits_for_others_may_run_beyond_the_share() -> None:
    assert BUILT_IN.beyond_share == {"agent.run"}
