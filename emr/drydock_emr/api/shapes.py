"""Requests and answers held against botocore's own model of EMR.

A request is checked as the service's framework does it: types first (SerializationException), then required members,
lengths, ranges, enumerations and patterns (ValidationException, all violations in one message). Members the model does
not know are ignored, as AWS ignores them.
"""

import math
import re
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StringShape, StructureShape

from drydock_emr.errors import SerializationError, ValidationError

MAX_DEPTH = 64
"""Of structures, lists and maps within each other; the model lets Configurations hold Configurations without end."""

MAX_VIOLATIONS_SHOWN = 100


@cache
def service_model() -> ServiceModel:
    """The newest model of EMR that this environment's botocore knows."""
    return botocore.session.get_session().get_service_model("emr")


def parse(operation: OperationModel, document: Any) -> dict[str, Any]:
    """The request's input, checked. Timestamps stay epoch seconds.

    Raises SerializationError or ValidationError.
    """
    if not isinstance(document, dict):
        raise SerializationError("The request's body is not a JSON object.")
    if operation.input_shape is None:
        return {}
    violations = _Violations()
    value: dict[str, Any] = _parse(operation.input_shape, document, "", violations)
    violations.refuse_any()
    return value


def render(operation: OperationModel, output: dict[str, Any]) -> dict[str, Any]:
    """The operation's answer. A member that the model does not have is a programming error (KeyError)."""
    if operation.output_shape is None:
        return {}
    rendered: dict[str, Any] = _render(operation.output_shape, output)
    return rendered


_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "double": (int, float),
    "float": (int, float),
    "timestamp": (int, float),
}


class _Violations:
    """What a request breaks, in the order found; of a great many only the first are kept."""

    def __init__(self) -> None:
        self._count = 0
        self._shown: list[str] = []

    def add(self, value: object, path: str, constraint: str) -> None:
        self._count += 1
        if self._count <= MAX_VIOLATIONS_SHOWN:
            shown = "null" if value is None else f"'{value}'"
            self._shown.append(f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}")

    def refuse_any(self) -> None:
        if self._count:
            noun = "validation error" if self._count == 1 else "validation errors"
            raise ValidationError(f"{self._count} {noun} detected: {'; '.join(self._shown)}")


def _parse(shape: Shape, value: Any, path: str, violations: _Violations, depth: int = 0) -> Any:
    expected = _PYTHON_TYPES[shape.type_name]
    fits = isinstance(value, expected) and (bool in expected or not isinstance(value, bool))
    if not fits:
        found = type(value).__name__
        raise SerializationError(f"{path or 'The request'} is of type {found}, expected {shape.type_name}.")
    if depth > MAX_DEPTH:
        raise SerializationError(f"The request is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(shape, StructureShape):
        for member in shape.required_members:
            if value.get(member) is None:
                violations.add(None, _join(path, member), "Member must not be null")
        return {
            name: _parse(member, value[name], _join(path, name), violations, depth + 1)
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if isinstance(shape, MapShape):
        return {
            _parse(shape.key, key, path, violations): _parse(shape.value, item, f"{path}.{key}", violations, depth + 1)
            for key, item in value.items()
            if item is not None
        }
    if isinstance(shape, ListShape):
        _check_size(shape, value, path, violations)
        return [
            _parse(shape.member, item, f"{path}.{i}.member", violations, depth + 1)
            for i, item in enumerate(value, start=1)
        ]
    if isinstance(shape, StringShape):
        _check_string(shape, value, path, violations)
    elif shape.type_name != "boolean":
        return _parse_number(shape, value, path, violations)
    return value


def _check_string(shape: StringShape, value: str, path: str, violations: _Violations) -> None:
    if _NO_TEXT.search(value):
        raise SerializationError(f"{path} holds a NUL or half of a surrogate pair, which is no text.")
    _check_size(shape, value, path, violations)
    if shape.enum and value not in shape.enum:
        allowed = ", ".join(shape.enum)
        violations.add(value, path, f"Member must satisfy enum value set: [{allowed}]")
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        violations.add(value, path, f"Member must satisfy regular expression pattern: {pattern}")


# Postgres takes no NUL, and UTF-8 has no way to write a lone surrogate, which JSON can escape.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


def _check_size(shape: Shape, value: str | list[Any], path: str, violations: _Violations) -> None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and len(value) < low:
        violations.add(value, path, f"Member must have length greater than or equal to {low}")
    if high is not None and len(value) > high:
        violations.add(value, path, f"Member must have length less than or equal to {high}")


_INTEGER_BITS = {"integer": 32, "long": 64}


def _parse_number(shape: Shape, value: float, path: str, violations: _Violations) -> float:
    if (bits := _INTEGER_BITS.get(shape.type_name)) is None:
        value = _finite(value, path)
    elif not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise SerializationError(f"{path} is no {bits}-bit integer.")
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and value < low:
        violations.add(value, path, f"Member must have value greater than or equal to {low}")
    if high is not None and value > high:
        violations.add(value, path, f"Member must have value less than or equal to {high}")
    return value


def _finite(value: float, path: str) -> float:
    """JSON has no infinity, but numbers that are read as one."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise SerializationError(f"{path} is too large a number.")
    return number


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern of the model. Java's surrogate pairs stand for what Python has as one character."""
    return re.compile(pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff"))


def _render(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape):
        unknown = value.keys() - shape.members.keys()
        if unknown:
            raise KeyError(f"{shape.name} has no members {sorted(unknown)}")
        return {name: _render(shape.members[name], item) for name, item in value.items() if item is not None}
    if isinstance(shape, MapShape):
        return {key: _render(shape.value, item) for key, item in value.items()}
    if isinstance(shape, ListShape):
        return [_render(shape.member, item) for item in value]
    if isinstance(value, datetime):
        return value.timestamp()
    return value


def _join(path: str, member: str) -> str:
    """Paths as the service writes them: each member with a small first letter."""
    name = member[0].lower() + member[1:]
    return f"{path}.{name}" if path else name
