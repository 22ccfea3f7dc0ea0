"""What of the settings only trying can show: an address that nobody may use, a port that is taken."""


class CannotStart(Exception):
    """The process cannot start with a setting it was given; trying again would not help.

    `variable` names it, and `reason` is one line without the value, since the value may be a secret.
    """

    def __init__(self, variable: str, reason: str) -> None:
        self.variable, self.reason = variable, reason
        super().__init__(f"{variable}: {reason}")
