"""Which operations a run of schemathesis was answered by with a 2xx: `python -m tests.contracts.reached DIRECTORY`.

The directory has a file `<app>.reached` for each document, with a status and an operation on each line.
"""

import sys
from collections import Counter
from pathlib import Path
from typing import Final

from tests.security.spec import OPERATIONS

_LETTER: Final = "its body holds what only a letter says"
WHY_NOT: Final = {
    "auth_verify_email": _LETTER,
    "auth_reset_password": _LETTER,
    "auth_accept_invitation": _LETTER,
    "auth_change_password": "its body holds the caller's password",
    "auth_change_email": "its body holds the caller's password",
    "auth_token": "its body holds somebody's credentials",
    "auth_introspect": "for services, which have secrets",
    "auth_leave_tenant": "a tenant's only owner may not go",
    "auth_update_member": "a tenant of one has no other member",
    "auth_remove_member": "a tenant of one has no other member",
    "tasks_follow_all": "it has no end, and is not asked",
    "tasks_follow": "it may go on for as long as its task, and is not asked",
    "chat_decide_call": "it needs a model that calls a tool",
    "vectors_append_to_file": "it needs the offset that an upload has come to",
}
"""What cannot be made up from the document, and why."""


def report(directory: Path) -> str:
    """How many operations were reached, and what is known of the others."""
    answers = Counter[str]()
    for file in directory.glob("*.reached"):
        for line in file.read_text().splitlines():
            status, operation = line.split(" ", 1)
            answers[operation] += status.startswith("2")
    missed = [one for one in OPERATIONS if not answers[str(one)]]
    lines = [f"{len(OPERATIONS) - len(missed)} of {len(OPERATIONS)} operations answered with a 2xx; not:"]
    return "\n".join(lines + [f"  {one}: {WHY_NOT.get(one.id, 'by chance')}" for one in missed])


if __name__ == "__main__":
    sys.stdout.write(report(Path(sys.argv[1])) + "\n")
