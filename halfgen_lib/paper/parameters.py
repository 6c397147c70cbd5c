"""Strict notebook parameters under plain papermill.

Papermill lets unknown names, wrong types and stale derived values through. The cell right after
the parameters cell closes these holes with an ordinary call::

    parameters = read_parameters(TrainParameters, globals())

IPython keeps the source of every executed cell in `In`: from there the call learns what the
parameters cell, and the cell that papermill injected after it, assign.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Set
from itertools import chain
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import to_json

from ..settings import Settings, complaints, did_you_mean

S = TypeVar("S", bound=Settings)

_COMPUTED = object()  # stands for a value that is no literal
_INJECTED = re.compile(r"# Parameters\n(\w+ = .*\n?)*")  # as papermill writes: no annotations


class ParameterError(ValueError):
    """Say which parameters are wrong, why, and what is allowed: one problem a line."""

    def _render_traceback_(self) -> list[str]:
        """Show the message alone: IPython, hence papermill, prints this for a traceback."""
        return [f"{type(self).__name__}: {self}"]


def read_parameters(schema: type[S], namespace: Mapping[str, Any]) -> S:
    """Return the notebook's parameters, checked against the schema.

    Values are taken by name from the parameter cells that ran or, where there are none (outside
    IPython, say), from the namespace, the notebook's `globals()`. Raises ParameterError at an
    unknown name, a wrong value, one computed in the cell, and defaults that override those given.
    """
    rounds = _parameter_cells(namespace.get("In", []), schema.model_fields.keys())
    given = _assigned("\n".join(chain.from_iterable(rounds))) if rounds else namespace
    problems = list(_cell_problems(rounds[-1], schema)) if rounds else []
    values = {n: given[n] for n in schema.model_fields if given.get(n, _COMPUTED) is not _COMPUTED}
    try:
        # As JSON: no less strict, but a list will do for a tuple, and text for a path.
        parameters = schema.model_validate_json(to_json(values, fallback=repr))
    except ValidationError as error:
        problems += complaints(error)
    if problems:
        raise ParameterError("\n".join(dict.fromkeys(problems)))
    return parameters


def _parameter_cells(history: list[str], fields: Set[str]) -> list[list[str]]:
    """Return the cells that set parameters, in rounds that end with a call of `read_parameters`.

    A run by papermill is one round. In Lab the check may be run again after cells of work: there
    `model = build(...)` sets no parameter, though one may be called `model`.
    """
    rounds: list[list[str]] = [[]]
    for cell in history:
        again = len(rounds) > 1
        sets = {n for n, value in _assigned(cell).items() if not (again and value is _COMPUTED)}
        if "read_parameters(" in cell:
            rounds.append([])
        elif _INJECTED.fullmatch(cell) or sets & fields:
            rounds[-1].append(cell)
    return [cells for cells in rounds if cells]


def _assigned(source: str) -> dict[str, Any]:
    """Return the names that a source sets: to literals, or computed in whatever way."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):  # magics and unfinished code
        return {}
    found: dict[str, Any] = {}
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.ClassDef():
                continue
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                found[name] = _literal(value)
            case _:  # a, b = 1, 2; a += 1; for a in ...
                nodes = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
                found |= {n.id: _COMPUTED for n in nodes if isinstance(n.ctx, ast.Store)}
    return found


def _literal(value: ast.expr) -> Any:
    try:
        match value:  # papermill writes float('nan') for want of a literal
            case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(text))]):
                return float(text)
        return ast.literal_eval(value)
    except (ValueError, TypeError):
        return _COMPUTED


def _cell_problems(cells: list[str], schema: type[Settings]) -> Iterator[str]:
    """Yield what is wrong with the cells as such: their order, and the names that they set."""
    injected = [bool(_INJECTED.fullmatch(cell)) for cell in cells]
    if any(injected) and not injected[-1]:
        yield (
            "the values given to papermill have no effect: the parameters cell ran after them and "
            "set its defaults again. The notebook has lost its tag: tag that cell `parameters`"
        )
    fields = schema.model_fields
    for name, value in _assigned("\n".join(cells)).items():
        if value is _COMPUTED:
            stale = "papermill would leave it stale: compute it in a later cell"
            yield f"{name} is computed inside the parameters cell; {stale}"
        elif name not in fields:
            takes = f". This notebook takes: {', '.join(fields)}"
            near = did_you_mean(name, fields) or takes
            yield f"unknown parameter '{name}' = {value!r}{near}"
