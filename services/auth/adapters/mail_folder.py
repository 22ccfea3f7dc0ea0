"""Letters as files, for a machine without a mail server: each is for whoever may read the folder, and in no log."""

import asyncio
import os
from email.policy import SMTPUTF8
from pathlib import Path

from services.auth.adapters.mail_message import message_of
from services.auth.ports import Mail
from shared.errors import Unavailable
from shared.schemas import new_id


class MailFolder:
    """Writes one `.eml` a letter, readable by its owner only (`services.auth.ports.Mailer`)."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder, self._sender = folder, sender

    async def send(self, mail: Mail) -> None:
        content = message_of(mail, self._sender).as_bytes(policy=SMTPUTF8)
        try:
            await asyncio.to_thread(self._write, content)
        except OSError as error:
            raise Unavailable("mail") from error

    def _write(self, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{new_id()}.eml"
        draft = path.with_suffix(".new")  # a letter appears whole or not at all
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        draft.rename(path)
