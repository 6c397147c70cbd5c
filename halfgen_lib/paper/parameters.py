"""Strict notebook parameters under plain papermill.

Papermill lets unknown names, wrong types and stale derived values through. The cell right after
the parameters cell closes these holes with an ordinary call::

    parameters = read_parameters(TrainParameters, globals())

IPython keeps the source of every executed cell in ``In``: from there the call learns what the
parameters cell, and the cell that papermill injected after it, assign.
"""

import ast
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError
from pydantic_core import to_json, to_jsonable_python

from ..settings import Settings, did_you_mean

S = TypeVar("S", bound=Settings)
Spec = dict[str, Any]  # the JSON schema of one field

_COMPUTED = object()  # stands for a value that is no literal
_KINDS = {  # annotations that papermill's inference can parse (no unions, no dots); plain words
    "integer": ("int", "a whole number"),
    "number": ("float", "a number"),
    "boolean": ("bool", "True or False"),
    "string": ("str", "text"),
    "array": ("list", "a list"),
    "object": ("dict", "a dict"),
    "null": ("None", "None"),
}
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "greater than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "matching {}",
    "minItems": "of length {} or more",
    "maxItems": "of length {} or less",
}


class ParameterError(ValueError):
    """Say which parameters are wrong, why, and what is allowed: one problem a line."""

    def _render_traceback_(self) -> list[str]:
        """Show the message alone: IPython, hence papermill, prints this for a traceback."""
        return [f"{type(self).__name__}: {self}"]


def read_parameters(schema: type[S], namespace: Mapping[str, Any]) -> S:
    """Return the notebook's parameters, checked against `schema`.

    Args:
        schema: the parameters' names, types, limits and defaults.
        namespace: the notebook's ``globals()``. Values are taken by name from the parameter cells
            that ran or, where there are none (outside IPython, say), from the namespace itself.

    Raises:
        ParameterError: an unknown name; a value of a wrong type, out of range or not finite; a
            value computed inside the parameters cell; defaults that override the values given.
    """
    history = namespace.get("In", [])
    if not isinstance(history, list):  # papermill -p In 5
        raise ParameterError(_unknown("In", history, schema))
    given, problems = namespace, []
    if groups := _parameter_cells(history, schema.model_fields):
        given = dict(pair for cells in groups for cell in cells for pair in cell.assigned)
        problems = _cell_problems(groups[-1], schema)
    values = {n: given[n] for n in schema.model_fields if given.get(n, _COMPUTED) is not _COMPUTED}
    try:
        # As JSON: no less strict, but a list will do for a tuple, and text for a path.
        parameters = schema.model_validate_json(to_json(values, fallback=repr))
    except ValidationError as error:
        problems += _value_problems(error, values, schema)
    if problems:
        raise ParameterError("\n".join(problems))
    return parameters


def describe(schema: type[Settings]) -> str:
    """Return a Markdown table of the parameters: name, allowed values, default, what it does."""
    rows = ["| parameter | allowed | default | what it does |", "|---|---|---|---|"]
    for name, default, spec in _fields(schema):
        cells = [f"`{name}`", _allowed(spec), f"`{default}`", spec.get("description", "")]
        cells = [cell.replace("|", r"\|") for cell in cells]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def parameters_cell(schema: type[Settings]) -> str:
    """Return the source of the parameters cell, each line of a form that papermill can parse.

    Raises:
        ValueError: a description or a default holds an "=", at which papermill skips the line.
    """
    lines = []
    for name, default, spec in _fields(schema):
        annotation = _KINDS[next(kind for kind in _kinds(spec) if kind != "null")][0]
        notes = [spec.get("description", ""), _limits(spec).removeprefix("from ")]
        comment = "; ".join(filter(None, notes))
        lines.append(f"{name}: {annotation} = {default}" + (f"  # {comment}" if comment else ""))
        if lines[-1].count("=") > 1:
            raise ValueError(f"papermill cannot parse a line with two '=': {lines[-1]}")
    return "\n".join(lines)


# ---- what the cells assign


class _Cell(NamedTuple):
    """Hold what a cell assigns, name and value, and its statements that are no assignments."""

    assigned: list[tuple[str, Any]]
    others: list[str]
    injected: bool


def _parameter_cells(history: list[str], fields: Iterable[str]) -> list[list[_Cell]]:
    """Return the cells that set parameters, in groups parted by the calls of `read_parameters`.

    A run by papermill makes one group. In Lab the check may be run again after cells of work:
    there `model = build(...)` sets no parameter, though one may be called `model`.
    """
    groups: list[list[_Cell]] = [[]]
    for source in history:
        if "read_parameters(" in source:
            groups.append([])
        elif cell := _read_cell(source):
            first = len(groups) == 1
            names = {name for name, value in cell.assigned if first or value is not _COMPUTED}
            if cell.injected or names.intersection(fields):
                groups[-1].append(cell)
    return [cells for cells in groups if cells]


def _read_cell(source: str) -> _Cell | None:
    """Return what a cell assigns at its top level; None if it is not Python."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return None
    annotated = any(isinstance(statement, ast.AnnAssign) for statement in body)
    cell = _Cell([], [], source.startswith("# Parameters\n") and not annotated)
    for statement in body:
        match statement:
            case ast.Assign(targets=names) if all(isinstance(name, ast.Name) for name in names):
                cell.assigned.extend((name.id, _literal(statement.value)) for name in names)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                cell.assigned.append((name, _literal(value)))
            case ast.AnnAssign(value=None) | ast.Pass() | ast.Expr(value=ast.Constant()):
                pass
            case _ if stored := _stored(statement):  # a, b = 1, 2; a += 1; for a in ...
                cell.assigned.extend((name, _COMPUTED) for name in stored)
            case _:
                cell.others.append(ast.unparse(statement).splitlines()[0])
    return cell


def _stored(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return []
    nodes = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return [node.id for node in nodes if isinstance(node.ctx, ast.Store)]


def _literal(value: ast.expr) -> Any:
    try:
        match value:  # papermill writes float('nan') for want of a literal
            case ast.Call(func=ast.Name(id="float"), args=[ast.Constant(value=str(text))]):
                return float(text)
        return ast.literal_eval(value)
    except (ValueError, TypeError):
        return _COMPUTED


def _cell_problems(cells: list[_Cell], schema: type[Settings]) -> list[str]:
    """Return what is wrong with the cells as such: their order, their names, their statements."""
    problems = []
    if any(cell.injected for cell in cells) and not cells[-1].injected:
        problems.append(
            "the values given to papermill have no effect: the parameters cell ran after them and "
            "set its defaults again. The notebook has lost its tag: tag that cell `parameters`"
        )
    for name, value in dict(pair for cell in cells for pair in cell.assigned).items():
        if name not in schema.model_fields and value is not _COMPUTED:
            problems.append(_unknown(name, value, schema))
    stale = (name for cell in cells for name, value in cell.assigned if value is _COMPUTED)
    problems += (
        f"{name} is computed inside the parameters cell; papermill would leave it stale: "
        "compute it in a later cell"
        for name in dict.fromkeys(stale)
    )
    return problems + [
        f"the parameters cell assigns plain values and does nothing else: move '{statement}' "
        "to another cell"
        for cell in cells
        for statement in cell.others
    ]


# ---- the schema in plain words


def _fields(schema: type[Settings]) -> Iterator[tuple[str, str, Spec]]:
    """Yield each field's name, default (as Python source) and JSON schema."""
    specs = schema.model_json_schema()["properties"]
    for name, field in schema.model_fields.items():
        default = to_jsonable_python(field.get_default(call_default_factory=True))
        source = repr(default)
        # Double quotes, as ruff format would have them in the notebook.
        yield name, source if '"' in source else source.replace("'", '"'), specs[name]


def _kinds(spec: Spec) -> list[str]:
    return [branch.get("type", "string") for branch in spec.get("anyOf", [spec])]


def _choices(spec: Spec) -> list[Any]:
    return spec.get("enum", [spec["const"]] if "const" in spec else [])


def _allowed(spec: Spec) -> str:
    """Say what a field takes, as in "a whole number, from 1 to 10000"."""
    if "anyOf" in spec:
        return ", or ".join(map(_allowed, spec["anyOf"]))
    limits = _limits(spec)
    if limits.startswith("one of"):
        return limits
    return ", ".join(filter(None, (_KINDS[_kinds(spec)[0]][1], limits)))


def _limits(spec: Spec) -> str:
    """Say what a field asks for beyond its type, as in "from 1 to 10000"; may be empty."""
    if "anyOf" in spec:
        nullable = "or None" if "null" in _kinds(spec) else ""
        return ", ".join(filter(None, (*map(_limits, spec["anyOf"]), nullable)))
    if choices := _choices(spec):
        return "one of " + ", ".join(map(repr, choices))
    if "prefixItems" in spec:
        return "of " + " and ".join(map(_allowed, spec["prefixItems"]))
    if {"minimum", "maximum"} <= spec.keys():
        limits = f"from {spec['minimum']} to {spec['maximum']}"
    else:
        limits = " and ".join(_LIMITS[key].format(spec[key]) for key in _LIMITS if key in spec)
    items = spec.get("items") or spec.get("additionalProperties")
    return ", ".join(
        filter(None, (limits, f"each {_allowed(items)}" if isinstance(items, dict) else ""))
    )


# ---- the problems in plain words


def _unknown(name: str, value: Any, schema: type[Settings]) -> str:
    hint = did_you_mean(name, schema.model_fields) or "."
    takes = ", ".join(schema.model_fields)
    return f"unknown parameter '{name}' = {value!r}{hint} This notebook takes: {takes}"


def _value_problems(
    error: ValidationError, values: Mapping[str, Any], schema: type[Settings]
) -> list[str]:
    """Return pydantic's complaints in plain words, one a parameter and one a model validator."""
    specs = {name: spec for name, _, spec in _fields(schema)}
    problems: dict[str, None] = {}  # a set that keeps the order
    for complaint in error.errors():
        own = str(complaint.get("ctx", {}).get("error", ""))  # said by a validator of ours
        if complaint["loc"]:
            name = str(complaint["loc"][0])
            value = values.get(name, schema.model_fields[name].default)
            must = own or f"must be {_allowed(specs[name])}{_hint(name, value, specs[name])}"
            problems[f"{name} = {value!r}: {must}"] = None
        else:
            problems[own or complaint["msg"]] = None
    return list(problems)


def _hint(name: str, value: Any, spec: Spec) -> str:
    """Say how to write what was probably meant; empty where that is anyone's guess."""
    kinds, number = _kinds(spec), _number(value)
    if choices := [choice for b in spec.get("anyOf", [spec]) for choice in _choices(b)]:
        return did_you_mean(str(value), choices)
    if "boolean" in kinds:
        return f"; papermill: -p {name} True"
    if number is not None and {"integer", "number"}.intersection(kinds):
        if not math.isfinite(number):
            return "; it has to be finite"
        if isinstance(value, str):
            why = "use a decimal point" if "," in value else "it was given as text, write"
            return f"; {why}: {number:.12g}"
        if isinstance(value, float) and number.is_integer() and "number" not in kinds:
            return f"; write {number:.0f}"
    if "string" in kinds and isinstance(value, int | float):
        return f"; papermill: -r {name} {json.dumps(str(value))} gives text"
    return ""


def _number(value: Any) -> float | None:
    """Return the number that a value is or, with text, seems to mean."""
    try:
        return float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        return None
