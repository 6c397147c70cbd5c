"""The base of every group of settings: frozen, strict, nothing unknown."""

import difflib
from collections.abc import Collection

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Hold validated values that cannot change.

    Strict: a string is not a number, a bool is not an int; an int is accepted where a float is
    asked for. Unknown names, NaN and infinities are refused by pydantic's ``ValidationError``.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )


def known(name: str, table: Collection[str], what: str) -> str:
    """Return ``name`` if ``table`` has it.

    Raises:
        ValueError: if not; the message lists the known names and the nearest one.
    """
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"{what} {name!r} is not known{hint} Known: {', '.join(table)}")
    return name
