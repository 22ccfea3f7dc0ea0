"""Which secrets are too weak to start with outside local mode: short ones, patterns, and what examples are made of.

Judged is the whole value, never a part of a long random text, so that no generated secret is refused by chance.
"""

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, SecretStr

SHORTEST = 16
_FEWEST_CHARACTERS = 4  # different ones: 16 random digits have fewer once in two million
_ROWS = (
    "0123456789",
    "0123456789abcdef",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "1qaz2wsx3edc4rfv",
)
_LONGEST_ROW = 256
# What examples, defaults and sample files consist of; longer words first where one begins another.
_WORDS = (
    *("administrator", "admin", "root", "superuser", "guest", "default", "user", "owner", "system", "service"),
    *("passphrase", "password", "passw0rd", "p@ssw0rd", "passwd", "pass", "pwd", "secret", "s3cret", "credential"),
    *("apikey", "api", "key", "token", "client", "cursor", "pepper", "jwt", "bearer", "auth"),
    *("changeme", "changeit", "change", "replace", "example", "sample", "dummy", "placeholder", "insecure", "unsafe"),
    *(
        "testing",
        "tests",
        "test",
        "demo",
        "develop",
        "development",
        "dev",
        "local",
        "localhost",
        "production",
        "staging",
    ),
    *("postgresql", "postgres", "redis", "valkey", "rabbitmq", "rabbit", "neo4j", "chromadb", "qdrant", "consul"),
    *(
        "sutazai",
        "database",
        "welcome",
        "letmein",
        "hunter2",
        "qwerty",
        "monkey",
        "dragon",
        "iloveyou",
        "xyz",
    ),  # no word of hexadecimal digits only, such as abc: random ones hold it by chance
    *(
        "please",
        "this",
        "is",
        "your",
        "the",
        "here",
        "strong",
        "random",
        "value",
        "bits",
        "bit",
        "for",
        "not",
        "use",
        "my",
    ),
)
_EXAMPLE = re.compile(rf"(?>(?:[\W\d_]*(?:{'|'.join(map(re.escape, _WORDS))}))+)[\W\d_]*")
# A mail server holds nothing of ours, and its provider chose the password: it is not ours to judge.
_OF_MAIL = re.compile(r"(smtps?|smtp\+plain|file)://", re.IGNORECASE)
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def setting_weakness(value: Any) -> str | None:
    """Why the value of a setting is refused: as a secret, for the password in its address, or for one inside a map."""
    match value:
        case SecretStr():
            secret = value.get_secret_value()
            if _OF_MAIL.match(secret):
                return None
            return url_weakness(secret, needs_password=True) if _URL.match(secret) else weakness(secret)
        case str() if _URL.match(value):
            return url_weakness(value, needs_password=False)
        case dict():
            found = ((name, setting_weakness(part)) for name, part in value.items())
            return next((f"{name}: {reason}" for name, reason in found if reason), None)
        case tuple():
            return next((reason for part in value if (reason := setting_weakness(part))), None)
        case BaseModel():
            return setting_weakness(dict(value))
    return None


def weakness(secret: str) -> str | None:
    """Why `secret` must not be relied on, in words that do not repeat any of it; None when it may."""
    if len(secret) < SHORTEST:
        return f"is shorter than {SHORTEST} characters"
    if len(set(secret)) < _FEWEST_CHARACTERS or _repeats(secret) or _is_in_a_row(secret.lower()):
        return "is a pattern that is easy to guess"
    if _EXAMPLE.fullmatch(secret.lower()):
        return "is made of words that stand in examples"
    return None


def url_weakness(url: str, *, needs_password: bool) -> str | None:
    """The same of the password in `url`."""
    try:
        password = urlsplit(url).password
    except ValueError:  # its text quotes the URL
        return "is no valid URL"
    if password:
        found = weakness(unquote(password))
        return found and f"has a password that {found}"
    return "has no password" if needs_password else None


def _repeats(text: str) -> bool:
    """Whether the text is one piece, written twice or more."""
    return any(text == (text[:period] * len(text))[: len(text)] for period in range(1, len(text) // 2 + 1))


def _is_in_a_row(text: str) -> bool:
    """Whether it runs along the digits, the alphabet or a keyboard, in either direction."""
    if len(text) > _LONGEST_ROW:
        return False
    rows = [row * (len(text) // len(row) + 2) for row in _ROWS]
    return any(text in row or text[::-1] in row for row in rows)
