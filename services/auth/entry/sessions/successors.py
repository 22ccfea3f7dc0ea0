"""The token that follows a refresh token: made from it, so that it can be made again and is kept nowhere."""

import base64
import hmac

_PURPOSE = b"refresh token successors"  # the secret has other work too, and no value of one is a value of the other


class Successors:
    """Nobody makes one without all three: the token before it, the id of the new one, and the server's secret.

    The database holds the id, and of the token before a hash that does not lead back to it. So its reader makes none,
    and neither does who has a token and not the secret.
    """

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), _PURPOSE, "sha256")

    def make(self, token: str, successor_id: str) -> str:
        """What follows `token` under this id: the same each time, and 256 bits that look random."""
        made = hmac.digest(self._key, f"{successor_id}.{token}".encode(), "sha256")
        return base64.urlsafe_b64encode(made).rstrip(b"=").decode()
