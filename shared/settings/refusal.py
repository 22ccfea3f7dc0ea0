"""What of the settings only trying can show: an address that nobody may use, a port that is taken."""

from urllib.parse import urlsplit


class CannotStart(Exception):
    """The process cannot start with a setting it was given; trying again would not help.

    `variable` names it, and `reason` is one line without the value, since the value may be a secret.
    """

    def __init__(self, variable: str, reason: str) -> None:
        self.variable, self.reason = variable, reason
        super().__init__(f"{variable}: {reason}")


def require_address(variable: str, url: str, *schemes: str) -> None:
    """For a server that is connected to later, when nobody would be told. Raises CannotStart for what is no address."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in schemes and parts.hostname and parts.port != 0
    except ValueError:  # its text quotes the URL
        is_address = False
    if not is_address:
        raise CannotStart(variable, f"is no address of a server: {schemes[0]}://host:port")
