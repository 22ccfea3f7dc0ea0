"""Weak secrets: what examples are made of is refused, and nothing that was generated ever is."""

import base64
import secrets
import string

import pytest
from pydantic import SecretStr

from local.secrets import Secrets
from shared.settings import setting_weakness, url_weakness, weakness

EXAMPLES = [
    *("changeme", "changeme12345678", "CHANGEME-CHANGEME", "please-change-this-secret", "my-secret-password-1!"),
    *(
        "password12345678",
        "P@ssw0rdP@ssw0rd!",
        "sutazai-admin-password",
        "postgres_password",
        "guest-guest-guest-guest",
    ),
    *("your-256-bit-secret", "test-test-test-test", "this-is-the-secret-key", "default_secret_12345"),
    *("x" * 32, "abcabcabcabcabcabc", "0000000000000001", "0123456789abcdef", "1234567890123456", "9876543210987654"),
    *("abcdefghijklmnop", "qwertyuiopasdfgh", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "1qaz2wsx3edc4rfv", "short-but-odd-9"),
]


@pytest.mark.parametrize("secret", EXAMPLES)
def test_what_is_easy_to_guess_is_refused_without_being_repeated(secret: str) -> None:
    reason = weakness(secret)

    assert reason
    assert secret not in reason


def test_no_random_secret_is_refused() -> None:
    letters_and_digits = string.ascii_letters + string.digits
    made = [
        made
        for _ in range(2000)
        for made in (
            secrets.token_hex(8),
            secrets.token_urlsafe(12),
            "".join(secrets.choice(letters_and_digits) for _ in range(16)),
            base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        )
    ]

    assert {secret: reason for secret in made if (reason := weakness(secret))} == {}


def test_a_phrase_of_ordinary_words_is_no_example() -> None:
    assert weakness("correct horse battery staple") is None
    assert weakness("the-password-of-a-quiet-harbour") is None


@pytest.mark.parametrize("address", ["smtp://mail.example:587", "smtps://mail.example", "file:///var/mail"])
def test_a_way_for_mail_may_do_without_a_password_and_no_store_may(address: str) -> None:
    assert setting_weakness(SecretStr(address)) is None
    assert setting_weakness(SecretStr("redis://store.example")) == "has no password"


def test_the_password_that_a_mail_provider_chose_is_not_judged() -> None:
    assert setting_weakness(SecretStr("smtp://user:changeme@mail.example")) is None


def test_no_secret_of_a_suite_is_refused() -> None:
    suite = Secrets.generate()
    own = [*suite.client_secrets.values(), suite.admin_password, suite.key_encryption_key, suite.cursor_secret]

    assert [weakness(secret) for secret in own] == [None] * len(own)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://127.0.0.1:6379/0", "has no password"),
        ("amqp://guest@rabbitmq/", "has no password"),
        ("amqp://guest:guest@rabbitmq/", "has a password that is shorter than 16 characters"),
        ("redis://:change%6De-change%6De@redis/0", "has a password that is made of words that stand in examples"),
        ("redis://[nonsense", "is no valid URL"),
        ("redis://:cT3nPq9wXz7KfB2mVd5s@redis/0", None),
    ],
)
def test_the_password_of_an_address_is_judged_alone(url: str, reason: str | None) -> None:
    assert url_weakness(url, needs_password=True) == reason


def test_an_address_of_a_server_without_accounts_needs_no_password() -> None:
    assert url_weakness("http://consul:8500", needs_password=False) is None
