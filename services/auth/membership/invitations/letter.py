"""What an invited person reads.

Nothing in it is free text: the name of a tenant or of a person may be anything, and our mail must not carry anybody's
message to strangers.
"""

from datetime import datetime

from services.auth.ports import Mail
from services.auth.trust.scopes import Role

_MAY = {
    Role.VIEWER: "read what is there",
    Role.MEMBER: "read and write what is there",
    Role.OWNER: "read and write what is there, and decide who belongs to it",
}
_TEXT = """\
{inviter} invites you to share a tenant on SutazAI ({public_url}). You could {may}.

To accept, send this token until {until} UTC

    {token}

together with a password to

    POST {public_url}/api/v1/auth/invitations/accept
    {{"token": "...", "password": "..."}}

With an account of this e-mail address it is the account's password; without one it becomes the password of a new
account. How to send it from a browser: {public_url}/api/v1/auth/docs

Whoever has the token can answer in your place, so pass it on to nobody. If you do not know who invites you, do nothing:
without an answer nothing happens.
"""


def invitation_letter(*, to: str, role: Role, token: str, inviter: str, public_url: str, expires_at: datetime) -> Mail:
    text = _TEXT.format(
        inviter=inviter,
        may=_MAY[role],
        public_url=public_url,
        token=token,
        until=expires_at.strftime("%d %B %Y, %H:%M"),
    )
    return Mail(to=to, subject="You are invited to SutazAI", text=text)
