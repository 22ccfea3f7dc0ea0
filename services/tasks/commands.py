"""`python -m services.tasks.commands`: what an operator does to tasks from a shell, in the service's environment.

Exit codes: 0 done, 1 a secret may be there that the first key does not open, 2 could not be done.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from services.tasks.lifespan import MIGRATIONS
from services.tasks.settings import Settings
from services.tasks.webhooks.resealing import Resealed, reseal_once
from shared.errors import ServiceError
from shared.postgres import open_database
from shared.sealing import Seal
from shared.settings import CannotStart


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    _parser().parse_args(argv)
    try:
        found = asyncio.run(_resealed(Settings()))
    except ValidationError as error:  # its own text would show what was given, secrets too
        names = {str(part).upper() for one in error.errors(include_input=False) for part in one["loc"][:1]}
        print(f"these settings are missing or wrong: {', '.join(sorted(names))}", file=sys.stderr)
        return 2
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 2
    except ServiceError as error:
        print(error.detail, file=sys.stderr)
        return 2
    print(_told(found))
    return 1 if found.unknown or found.overtaken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.tasks.commands", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "reseal-secrets", help="have every secret of a webhook sealed with the first SECRET_ENCRYPTION_KEY"
    )
    return parser


async def _resealed(settings: Settings) -> Resealed:
    seal = Seal(settings.secret_encryption_key.get_secret_value())
    async with open_database(settings.database_url.get_secret_value(), settings.database_name, MIGRATIONS) as database:
        return await reseal_once(database, seal)


def _told(found: Resealed) -> str:
    lines = [f"secrets of webhooks: {found.secrets}", f"sealed anew just now: {found.renewed}"]
    if found.unknown:
        lines.append(f"that no key opens, and have to be rotated: {found.unknown}")
    if found.overtaken:
        lines.append(f"rotated by others meanwhile, so do it again: {found.overtaken}")
    if not found.unknown and not found.overtaken:
        lines.append("all of them open with the first key: the others can be taken away")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
