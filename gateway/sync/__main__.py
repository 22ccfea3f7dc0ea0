"""`python -m gateway.sync`: checks first, shows the difference, then loads the file; 1 when something is refused."""

import argparse
import sys

from pydantic import ValidationError

from gateway.envoy.kong import KongFile, KongFileError, load, parsed
from gateway.sync.admin import AdminApi, Node
from gateway.sync.difference import Difference, difference
from gateway.sync.errors import NotAsSent, NotOurKind, SomebodyElses, SyncRefused
from gateway.sync.settings import SyncSettings

_OLDEST = (3, 9)
_NEXT_MAJOR = (4,)


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    options = _options(arguments)
    try:
        settings = SyncSettings()
        kong = load(settings.kong_config)
        with AdminApi(settings.kong_admin_url) as admin:
            synchronise(admin, kong, settings.kong_config.read_text(), options)
    except ValidationError as error:
        sys.exit("\n".join(f"{'.'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in error.errors()))
    except (KongFileError, SyncRefused, OSError) as error:
        sys.exit(f"refused: {error}")


def synchronise(admin: AdminApi, kong: KongFile, text: str, options: argparse.Namespace) -> None:
    """Raises SyncRefused; nothing was changed then, unless it is NotAsSent or Kong went away over the file."""
    node = admin.node()
    check(node, kong)
    document = parsed(text)
    found = difference(document, admin.configuration())
    show(found)
    if found.foreign and not options.replace:
        raise SomebodyElses("the file has none of the above, so they would be gone; --replace has that done")
    if options.dry_run:
        return
    loaded = admin.load(text)
    if left := difference(document, admin.configuration()).changes:
        raise NotAsSent("\n  ".join(["Kong took the file, and still shows", *left]))
    version = ".".join(map(str, node.version))
    say(f"Kong {version} runs with the file" if loaded else f"Kong {version} had this file already")


def check(node: Node, kong: KongFile) -> None:
    """Raises NotOurKind."""
    used = {plugin.name for plugin in kong.plugins}
    used |= {plugin.name for service in kong.services for route in service.routes for plugin in route.plugins}
    if node.database != "off":
        raise NotOurKind(f"this Kong has a database ({node.database}); the file is for one without, KONG_DATABASE=off")
    if not _OLDEST <= node.version < _NEXT_MAJOR:
        raise NotOurKind(f"the file is for Kong 3.9 and later ones of 3; this is {'.'.join(map(str, node.version))}")
    if missing := sorted(used - node.plugins):
        raise NotOurKind(f"this Kong has not loaded {', '.join(missing)}: add to its KONG_PLUGINS")


def show(found: Difference) -> None:
    """One line a change."""
    for line in found.changes or ["nothing of what the file says would change"]:
        say(line)
    for line in found.foreign:
        say(f"! {line}: not in the file")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make gateway-sync", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="show the difference, and change nothing")
    parser.add_argument("--replace", action="store_true", help="also where Kong holds what is not in the file")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
