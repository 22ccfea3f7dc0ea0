"""`python -m services.tasks.commands`: what an operator does to tasks from a shell, in the service's environment.

Exit codes: 0 done, 1 a secret may be there that the first key does not open, 2 could not be done.
"""

import argparse
import sys
from collections.abc import Sequence

from services.tasks.lifespan import MIGRATIONS
from services.tasks.settings import Settings
from services.tasks.webhooks.resealing import reseal_once
from shared.commands import run_command
from shared.postgres import open_database
from shared.sealing import Seal


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    _parser().parse_args(argv)
    return run_command(_reseal)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.tasks.commands", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "reseal-secrets", help="have every secret of a webhook sealed with the first SECRET_ENCRYPTION_KEY"
    )
    return parser


async def _reseal() -> int:
    settings = Settings()
    seal = Seal(settings.secret_encryption_key.get_secret_value())
    async with open_database(settings.database_url.get_secret_value(), settings.database_name, MIGRATIONS) as database:
        found = await reseal_once(database, seal)
    print(found.told("secrets of webhooks", "rotated"))
    return 0 if found.is_done else 1


if __name__ == "__main__":
    sys.exit(main())
