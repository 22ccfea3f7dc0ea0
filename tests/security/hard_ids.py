"""Ids that are hard on whoever carries them: what may become another on its way, and what may not and looks so."""

import random
from typing import Final

# What one way or another becomes something else, though it is percent-encoded.
REWRITTEN: Final = (
    *("", ".", "..", "./", "../", "/.", "/..", "a/.", "a/..", "./a", "../a", "a/./b", "a/../b", "a/../../b"),
    *("/", "//", "/a", "a/", "a//b", "a///b", "\\", "..\\a", "a\\..\\b", "a\\b"),
    *("%", "a%", "%%", "50% off", "%2e%2e", "%2E.", "a%2Fb", "%25", "%00", "%0a", "%zz", "%u002e"),
    *(" ", " a", "a ", "\ta", "a\t", "\u00a0a", "a\u3000", "a\u2003"),
    *(
        "\x00",
        "a\x00b",
        "a\nb",
        "a\n",
        "\na",
        "a\rb",
        "a\r\nb",
        "a\x1fb",
        "a\x7f",
        "a\x85b",
        "a\x9fb",
        "a\u2028b",
        "a\u2029",
    ),
)
TAKEN: Final = (
    *(
        "a",
        "handbook.md#3",
        "...",
        "....",
        ".a",
        "a.",
        "..a",
        "a..",
        "a/b",
        "a/.b",
        "a/b./c",
        "a/...",
        "a b",
        "~",
        "a~1b",
    ),
    *(
        "+",
        "a+b",
        ";",
        "a;b=c",
        "..;",
        "?",
        "a?b=c",
        "#",
        "a#b",
        "&",
        "=",
        "@",
        ":",
        ",",
        "!",
        "$",
        "'",
        '"',
        "(",
        ")",
        "*",
    ),
    *("[", "]", "{", "}", "<", ">", "|", "^", "`", "-", "_", "http:", "C:", "null", "0", "-0", "records", "records/a"),
    *(
        "\u00e9",
        "e\u0301",
        "\u1e9b\u0323",
        "\ufb01",
        "\u0130",
        "\u00df",
        "\u6f22\u5b57",
        "\U0001f9ea",
        "\U0001f469\u200d\U0001f52c",
    ),
    *("\u05d0\u05d1", "\u202eabc", "\u200fx", "\u2066a\u2069", "\ufeffa", "\u200ba", "\U0010ffff"),
    *("x" * 128, "\U0001f9ea" * 128, "e\u0301" * 64, "/".join("a" * 64), "." * 128, "?" * 128),
)
HARMLESS: Final = (
    *(char for char in map(chr, range(0x21, 0x7F)) if char not in "%\\/"),
    *("\u00e9", "e\u0301", "\u00c5", "A\u030a", "\u1112\u1161\u11ab", "\ud55c"),
    *("\U0001f9ea", "\U0001f469\u200d\U0001f52c", "\u202e", "\u05d0", "\u0627", "\u200f", "\ufeff"),
)
HARMFUL: Final = (
    *("%2F", "%25", "%2e", "%", "..", ".", "/", "/../", "//", "\\", " "),
    *("\n", "\x00", "\x7f", "\x85", "\u2028", "\u3000"),
)
LONGEST: Final = 128


def generated(number: int, seed: int = 24) -> list[str]:
    """Ids of every length of harmless characters, and short ones of all; the same in every run with the same seed."""
    drawn = random.Random(seed)
    long = ("".join(drawn.choices(HARMLESS, k=LONGEST))[: drawn.randint(1, LONGEST)] for _ in range(number))
    short = ("".join(drawn.choices(HARMLESS + 4 * HARMFUL, k=drawn.randint(1, 4))) for _ in range(number))
    return list(dict.fromkeys([*long, *short]))
