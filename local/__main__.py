"""The commands behind the Makefile: `python -m local COMMAND [component…]`."""

import argparse
import contextlib
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final

from local import farewell, settings
from local.errors import LocalError, SuiteFailed
from local.outcomes import Outcome, Result, Status
from local.suite import Suite

MARKS: Final = {
    Result.FAILED: "✗",
    Result.SKIPPED: "✗",
    Result.ABSENT: "!",
}
LOG_LINES: Final = 40


def show(outcome: Outcome) -> None:
    """One progress line, written at once: others come from other threads."""
    mark = MARKS.get(outcome.result, "✓")
    reason = outcome.reason.replace("\n", "\n      ")
    line = f"  {mark} {outcome.component:<13} {outcome.result:<10} {outcome.seconds:5.1f} s  {reason}".rstrip()
    log = f"      log: {outcome.log}\n" if outcome.log else ""
    print(f"{line}\n{log}", end="", flush=True)


def up(suite: Suite, arguments: argparse.Namespace) -> int:
    """Starts; prints where to go next."""
    print(f"starting SutazAI in {suite.site.layout.home}", flush=True)
    for complaint in settings.unknown(suite.site.environ):
        print(f"  ! {complaint}", file=sys.stderr, flush=True)
    for place, names in suite.open_doors(arguments.components or None).items():
        print(
            f"  ! {place} is closed to other users: {', '.join(names)} may read every file", file=sys.stderr, flush=True
        )
    suite.up(arguments.components or None)
    if not arguments.components:
        print(farewell.text(suite.site))
    return 0


def down(suite: Suite, arguments: argparse.Namespace) -> int:
    """Stops."""
    if not suite.down(arguments.components or None):
        print("nothing was running")
    return 0


def status(suite: Suite, arguments: argparse.Namespace) -> int:
    """One line for each component; the exit code tells whether all are ready."""
    statuses = [one for one in suite.status() if not arguments.components or one.component in arguments.components]
    for one in statuses:
        print(_line(one))
    return 0 if all(one.is_ready or one.state == "absent" for one in statuses) else 1


def _line(one: Status) -> str:
    memory = f"{one.memory_bytes / 2**20:5.0f} MB" if one.memory_bytes else ""
    pid = f"pid {one.pid}" if one.pid else ""
    return f"{one.component:<13} {one.state:<11} {one.port or '':<6} {pid:<12} {memory:<9} {one.detail}".rstrip()


def logs(suite: Suite, arguments: argparse.Namespace) -> int:
    """Hands over to `tail` for the logs of the named components, or of all that have one."""
    names = arguments.components or [one.component for one in suite.status()]
    files = [str(file) for name in names if (file := suite.site.layout.log(name)).exists()]
    if not files:
        print("there are no logs yet", file=sys.stderr)
        return 1
    tail = ["tail", "-n", str(LOG_LINES), *(["-F"] if arguments.follow else []), *files]
    with contextlib.suppress(KeyboardInterrupt):  # the way to end following
        return subprocess.run(tail, check=False).returncode
    return 0


def env(suite: Suite, arguments: argparse.Namespace) -> int:
    """Prints the environment of a process as shell commands, to run one by hand with it."""
    for name in arguments.components:
        for variable, value in sorted(suite.environment(name).items()):
            print(f"export {variable}={shlex.quote(value)}")
    return 0


def execute(suite: Suite, arguments: argparse.Namespace) -> int:
    """Runs a command in the environment of one process: `exec auth -- python -m …`; its exit code is ours."""
    component, *command = arguments.components or [""]
    if not command:
        print("usage: python -m local exec COMPONENT -- COMMAND…", file=sys.stderr)
        return 2
    try:
        return subprocess.run(command, env=suite.environment(component), check=False).returncode
    except FileNotFoundError:
        print(f"there is no command {command[0]!r}", file=sys.stderr)
        return 127


def rotate_certificates(suite: Suite, arguments: argparse.Namespace) -> int:  # noqa: ARG001 - as all commands
    """A new authority, and new certificates of all processes, while they serve."""
    suite.rotate_certificates()
    print("every process has a new certificate, of a new authority; what runs forgets the old one when it is restarted")
    return 0


def config(suite: Suite, arguments: argparse.Namespace) -> int:
    """Prints the settings that change while services run, of one or of all; sets those given as `name=value`."""
    from local.live import ALL, LiveSettingsStore  # with what services are made of, which takes a second to load

    service, *wanted = arguments.components or [ALL]
    store = LiveSettingsStore(suite.site)
    if wanted:
        store.put(service, wanted)
    for row in store.rows(service):
        print(f"{row.service:<13} {row.name:<24} {row.value or '(as in the environment)'}")
    return 0


COMMANDS: Final[dict[str, Callable[[Suite, argparse.Namespace], int]]] = {
    "up": up,
    "down": down,
    "status": status,
    "logs": logs,
    "env": env,
    "exec": execute,
    "rotate-certificates": rotate_certificates,
    "config": config,
}


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code: 0 when it went well, 1 when a component failed."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("components", nargs="*", metavar="component")
    parser.add_argument("-f", "--follow", action="store_true", help="logs: keep printing")
    arguments = parser.parse_args(argv)
    try:
        suite = Suite(listener=show) if arguments.command == "up" else Suite.as_started(show)
        return COMMANDS[arguments.command](suite, arguments)
    except SuiteFailed as error:
        failed = [outcome.component for outcome in error.outcomes if outcome.has_failed]
        print(f"did not start: {', '.join(failed)}; what started was left running", file=sys.stderr)
    except LocalError as error:
        print(error, file=sys.stderr)
    except PermissionError as error:
        print(f"{error.filename} is closed to you: another user runs the suite there, root perhaps", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
