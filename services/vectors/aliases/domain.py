"""What is answered when an alias was pointed somewhere."""

from dataclasses import dataclass

from services.vectors.domain import Alias


@dataclass(frozen=True, slots=True)
class Pointed:
    """An alias as it is now; whether it was made just now, or switched, or pointed there before."""

    alias: Alias
    is_new: bool
    is_switched: bool
