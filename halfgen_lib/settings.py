"""The base of every group of settings: frozen, strict, nothing unknown."""

import difflib
from collections.abc import Collection, Iterable
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError


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
    """Return `; did you mean 'name'?` for the nearest name in the table, or nothing."""
    names = {str(name).lower(): name for name in table}
    near = difflib.get_close_matches(str(word).lower(), names, n=1)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


def known(name: str, table: Collection[str], what: str) -> str:
    """Return the name if the table has it, else raise ValueError with the known and the nearest."""
    if name not in table:
        hint = did_you_mean(name, table) or "."
        raise ValueError(f"{what} {name!r} is not known{hint} Known: {', '.join(table)}")
    return name


def complaints(error: ValidationError) -> list[str]:
    """Return what pydantic complains of: a setting, its value and what is wrong with it, each."""
    return [f"{'.'.join(map(str, e['loc']))} = {e['input']!r}: {e['msg']}" for e in error.errors()]
