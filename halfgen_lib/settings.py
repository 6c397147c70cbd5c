"""The base of every group of settings: frozen, strict, nothing unknown."""

import difflib
from collections.abc import Collection, Iterable
from itertools import islice
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

FEW = 8  # names that a message lists where none is near


class Settings(BaseModel):
    """Hold validated values that cannot change.

    Strict: a string is not a number, a bool is not an int; an int is accepted where a float is
    asked for. Unknown names, NaN and infinities are refused by pydantic's `ValidationError`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )

    # Settings younger than the first published results: at their defaults they are left out of a
    # run's identity, so that a run made before there was such a setting keeps its name.
    later: ClassVar[frozenset[str]] = frozenset()

    def identity_fields(self) -> dict[str, Any]:
        """Return everything that decides what is computed, ready for JSON."""
        defaults = {n for n in self.later if getattr(self, n) == type(self).model_fields[n].default}
        return self.model_dump(mode="json", exclude=defaults)


def did_you_mean(word: str, table: Iterable[Any]) -> str:
    """Return `; did you mean 'name'?` for the three nearest names at most, or nothing."""
    names = {str(name).lower(): name for name in table}
    near = [repr(names[n]) for n in difflib.get_close_matches(str(word).lower(), names)]
    return f"; did you mean {' or '.join(near)}?" if near else ""


def known(name: str, table: Collection[str], what: str) -> str:
    """Return the name if the table has it, else raise ValueError with the nearest or the first."""
    if name not in table:
        some = ", ".join(islice(table, FEW)) + ", ..." * (len(table) > FEW)
        raise ValueError(f"{what} {name!r} is not known{did_you_mean(name, table) or f': {some}'}")
    return name


def complaints(error: ValidationError) -> list[str]:
    """Return what pydantic complains of: a setting, its value and what is wrong with it, each."""
    found = []
    for e in error.errors():
        own, place = e.get("ctx", {}).get("error"), ".".join(map(str, e["loc"]))
        is_ours = isinstance(own, ValueError)  # said by a validator of ours, with the setting
        found.append(str(own) if is_ours else f"{place} = {e['input']!r}: {e['msg']}")
    return found
