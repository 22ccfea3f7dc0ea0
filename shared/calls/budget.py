"""How many retries a caller can afford."""


class RetryBudget:
    """Allows retries up to a share of the calls made, so that a failing dependency is not hit harder for failing.

    The window is the last hundred calls; `minimum` retries are always allowed, or a quiet service could never retry.
    """

    def __init__(self, ratio: float = 0.1, minimum: float = 2.0) -> None:
        self._ratio = ratio
        self._ceiling = max(minimum, 100 * ratio)
        self._tokens = minimum

    def record_call(self) -> None:
        self._tokens = min(self._ceiling, self._tokens + self._ratio)

    def take(self) -> bool:
        """Whether one more retry is affordable; takes it if so."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
