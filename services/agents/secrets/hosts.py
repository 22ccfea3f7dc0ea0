"""Which hosts a secret is sent to: each by its name, or all below a domain as `*.example.org`.

A credential is the tenant's, and whoever may define tools could otherwise have it sent to a server of theirs. Hosts are
written with the value, so that nobody adds one who does not know what is sent there.
"""

from collections.abc import Sequence
from typing import Final

from shared.hosts import is_address
from shared.outbound import RequestRefused, require_url

MOST_HOSTS: Final = 20
"""Of one secret."""
LONGEST_HOST: Final = 255
_BELOW: Final = "*."


def usual_host(text: str) -> str:
    """A host, or all below a domain, as URLs have it: in lower case. Raises ValueError, which says what is wrong."""
    name = text.lower().removeprefix(_BELOW)
    try:
        host = require_url(f"https://[{name}]/" if ":" in name else f"https://{name}/").raw_host
    except RequestRefused as error:
        raise ValueError("must be a host's name or address, without a scheme, a port or a path") from error
    if host != name or "*" in name:
        raise ValueError("must be a host's name as DNS has it (`xn--…`), or an address in its shortest form")
    if text.startswith(_BELOW) and ("." not in name.strip(".") or is_address(name)):
        raise ValueError("must name a domain of two parts at least behind `*.`")
    return text.lower()


def host_of(url: str) -> str:
    """The host that a tool's URL leads to, whatever arguments are put into it."""
    # Placeholders stand in the path and the query only.
    return require_url(url.partition("{")[0]).raw_host or ""


def leads_to(hosts: Sequence[str], host: str) -> bool:
    """Whether `host` is one of them. A domain is not below itself."""
    return any(host.endswith(one[1:]) and host != one[2:] if one.startswith(_BELOW) else host == one for one in hosts)
