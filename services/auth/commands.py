"""`python -m services.auth.commands`: what an operator does to auth from a shell, with the environment of the service.

Exit codes: 0 done, 1 the audit log is not what it was, 2 could not be done.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from services.auth.lifespan import MIGRATIONS
from services.auth.models import OutboxRow
from services.auth.settings import Settings
from services.auth.trust.audit.log import FIRST_HASH, AuditLog
from services.auth.trust.audit.verification import Verdict, verify
from services.auth.trust.signing.ring import KeyRing
from services.auth.trust.signing.rotation import Rotation, TooEarly
from services.auth.trust.work import Works
from shared.commands import run_command
from shared.identity import Revocations
from shared.postgres import Database, Outbox, open_database

_AT_ONCE = """\
Not waiting until every service knows the next key. One that has not heard of it refuses new tokens (401) until it asks
again, ten seconds at most. What was given out before stays valid until it expires."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    arguments = _parser().parse_args(argv)
    return run_command(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.auth.commands", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    rotate = commands.add_parser("rotate-keys", help="sign with the next key, and publish the one after it")
    rotate.add_argument("--now", action="store_true", help="do not wait until every service knows the next key")
    audit = commands.add_parser("verify-audit", help="compute the chain of the audit log anew")
    audit.add_argument("--expect-head", type=_digest, metavar="HASH", help="a head noted before: must still be there")
    return parser


def _digest(text: str) -> bytes:
    digest = bytes.fromhex(text)
    if len(digest) != len(FIRST_HASH):
        raise ValueError(text)
    return digest


async def _run(arguments: argparse.Namespace) -> int:
    settings = Settings()
    url = settings.database_url.get_secret_value()
    async with open_database(url, settings.database_name, MIGRATIONS) as database:
        log = AuditLog(settings.audit_key.get_secret_value())
        if arguments.command == "rotate-keys":
            await _rotate(settings, database, log, at_once=arguments.now)
            return 0
        verdict = await verify(database, log, arguments.expect_head)
    print(_told(verdict))
    return 0 if verdict.is_good else 1


async def _rotate(settings: Settings, database: Database, log: AuditLog, *, at_once: bool) -> None:
    ring = await KeyRing(database, settings.key_encryption_key.get_secret_value()).load()
    outbox = Outbox(OutboxRow)  # the running service publishes what is written here
    works = Works(database, log, outbox, Revocations())
    rotation = Rotation(works, ring, outbox, 0 if at_once else settings.key_publish_seconds)
    if at_once:
        print(_AT_ONCE)
    while True:
        try:
            key_id = await rotation.rotate()
        except TooEarly as early:
            print(f"{early}: until then a service may not know it; waiting", flush=True)
            await asyncio.sleep(early.seconds)
        else:
            print(f"tokens are signed with {key_id}; the key before it verifies until its tokens have expired")
            return


def _told(verdict: Verdict) -> str:
    lines = [f"unbroken entries: {verdict.entries}", f"head: {verdict.head.hex()}"]
    if verdict.broken_at is not None:
        lines.append(
            f"broken at entry {verdict.broken_at}: it or what stood before it was changed, removed or inserted,"
            " or AUDIT_KEY is not the key it was written with"
        )
    if verdict.is_head_missing:
        lines.append("the expected head is not among them: entries were removed from the end, or it is of another log")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
