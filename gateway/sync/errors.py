"""Why a Kong was not given the file.

SyncRefused
├── AdminUnreachable    no answer, or none that an Admin API gives
├── NotOurKind          a Kong that the file is not for
├── SomebodyElses       it holds what the file does not have, and would lose it
├── FileRefused         Kong's own word about the file
├── KongBusy            it is loading another one
└── NotAsSent           it took the file, and shows another
"""


class SyncRefused(Exception):
    """Root; the text is for the person at the terminal."""


class AdminUnreachable(SyncRefused):
    """No answer in time, or one that no Admin API gives."""


class NotOurKind(SyncRefused):
    """A Kong with a database, of another version, or without a plugin that the file uses."""


class SomebodyElses(SyncRefused):
    """It holds what the file does not have. A file replaces everything, so these would be gone."""


class FileRefused(SyncRefused):
    """Kong names what is wrong with the file, and keeps what it has."""


class KongBusy(SyncRefused):
    """Kong is loading a configuration, or going."""


class NotAsSent(SyncRefused):
    """Kong took the file, and what it shows afterwards is not what was sent."""
