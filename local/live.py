"""The settings that change while services run, in Consul's store: read, set, and taken away again."""

import base64
import importlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from local import probes
from local.addresses import external_url, url
from local.consul_access import token_header
from local.errors import LocalError
from local.site import Site
from services.topology import SERVICES
from shared.live import KEPT_KEY, live_value, prefix_of
from shared.settings import ServiceSettings

ALL: Final = "all"
_SETTINGS: Final[Mapping[str, str]] = {
    **{name: f"services.{name}.settings:Settings" for name in SERVICES},
    "tasks-worker": "services.tasks.settings:WorkerSettings",
    "faiss": "services.vectors.settings:NodeSettings",
}


class SettingRefused(LocalError):
    """A service, a setting or a value that there is not."""


class Row(NamedTuple):
    """One setting of a service, and what Consul says of it; None where the environment counts."""

    service: str
    name: str
    value: str | None


class LiveSettingsStore:
    """What stands in the Consul of a suite. Raises NotReady where that does not answer."""

    def __init__(self, site: Site) -> None:
        self._url = url(site, "consul").rstrip("/")
        token = site.setting("CONSUL_TOKEN") if external_url(site, "consul") else site.secrets.consul_management
        self._headers = token_header(token) if token else {}

    def rows(self, service: str) -> Iterator[Row]:
        """All that can change, then what stands there and cannot. Raises SettingRefused."""
        for one in _services(service):
            kept, live = self._kept(one), _class(one).live
            names = dict.fromkeys((*live, *sorted(kept.keys() - {"", KEPT_KEY})))
            yield from (Row(one, name, kept.get(name)) for name in names)

    def put(self, service: str, wanted: Sequence[str]) -> None:
        """`name=value` each; without a value the environment's counts again, and what cannot change is taken away.

        Raises SettingRefused before anything is written when one of them will not do.
        """
        services = _services(service)
        kept = {one: self._kept(one) for one in services}
        changes = [_checked(one, text, kept[one]) for one in services for text in wanted]
        for one, name, value in changes:
            if value:
                self._ask("PUT", one, name, value)
            else:
                self._ask("DELETE", one, name)
        for one in services:  # at last: with it who reads believes that what is not there is not to be
            self._ask("PUT", one, KEPT_KEY, "1")

    def _kept(self, service: str) -> dict[str, str]:
        prefix = prefix_of(service)
        place = f"{self._url}/v1/kv/{prefix}?recurse=true"
        found = probes.ask("GET", place, expected=(200, 404), headers=self._headers)
        entries = json.loads(found) if found else []
        return {
            one["Key"].removeprefix(prefix): base64.b64decode(one["Value"] or "").decode(errors="replace")
            for one in entries
        }

    def _ask(self, method: str, service: str, name: str, value: str = "") -> None:
        place = f"{self._url}/v1/kv/{prefix_of(service)}{probes.quoted(name)}"
        probes.ask(method, place, value.encode() or None, headers=self._headers)


def _services(service: str) -> tuple[str, ...]:
    if service == ALL:
        return tuple(_SETTINGS)
    if service not in _SETTINGS:
        raise SettingRefused(f"{service!r} is no service: {', '.join((*_SETTINGS, ALL))}")
    return (service,)


def _class(service: str) -> type[ServiceSettings]:
    module, _, name = _SETTINGS[service].partition(":")
    found: type[ServiceSettings] = getattr(importlib.import_module(module), name)
    return found


def _checked(service: str, text: str, kept: Mapping[str, str]) -> Row:
    name, is_given, value = text.partition("=")
    name, value = name.strip().lower(), value.strip()
    settings = _class(service)
    is_leftover = not value and name in kept and name != KEPT_KEY
    if not is_given or (name not in settings.live and not is_leftover):
        raise SettingRefused(f"{text!r}: write name=value, with one of {', '.join(settings.live)}")
    if value:
        try:
            live_value(settings, name, value)
        except ValueError as error:
            raise SettingRefused(f"{service}: {name}: {error}") from error
    return Row(service, name, value or None)
