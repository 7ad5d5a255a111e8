"""Requests built from botocore's model of EMR: as it says, broken in one place, or no requests at all.

A `Request` knows what has to become of it, as far as the model decides that: a request that satisfies the model is
never refused for its form, one with a wrong type or a broken constraint always is, and for all others the only promise
is an answer that an SDK can read.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from hypothesis import strategies as st

from drydock_emr import releases
from drydock_emr.api.operations import BUILT
from drydock_emr.api.shapes import service_model
from tests.emr.conftest import run_job_flow, step

OPERATIONS = sorted(BUILT)
DEEPEST = 4  # levels of structures within structures; a Configuration may hold Configurations without end

HOSTILE_TEXTS = (
    "",
    " ",
    "\x00",
    "\ud800",
    "a\udfffb",
    "😀" * 70,
    "e\u0301\u202e\u2066",
    "../../../../etc/passwd",
    "/etc/passwd",
    "..",
    "file:///etc/passwd",
    "file://[",
    "s3://",
    "s3://b/../../other/x",
    "s3://logs/a/../../../b",
    "s3://[::1/x",
    "s3n://logs/\u0085\u2028x",
    "%2e%2e%2f",
    "C:\\x\\..",
    "'; DROP TABLE clusters; --",
    "{{ 7 * 7 }}${jndi:x}",
    "x" * 257,
    "x" * 10_281,
    "\r\nX-Injected: 1",
    "b2Zmc2V0Oi0x",
    "b2Zmc2V0Ojk5OTk5OTk5OQ==",
)
# What `json.dumps` would not write, put into the body in the place of a string.
RAW = {
    "raw:infinite": "1e400",
    "raw:minus infinite": "-1e400",
    "raw:not a number": "NaN",
    "raw:long": "9" * 400,
    "raw:endless": "9" * 5000,
    "raw:deep lists": "[" * 600 + "]" * 600,
    "raw:too deep": "[" * 5000 + "]" * 5000,
    "raw:deep configurations": '[{"Classification": "spark-defaults", "Configurations": ' * 300 + "[]" + "}]" * 300,
    "raw:same name twice": '{"Key": "a", "Key": "b"}',
}
HOSTILE_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 2**31 - 1, -(2**31), 2**31, 2**63, 1e308, [], {}, [None], [[]], {"": None},
    ["x"] * 2000, {str(i): i for i in range(500)}, *HOSTILE_TEXTS, *RAW,
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """What exists, by the name of the member that refers to it, so that requests get further than «is not valid»."""

    values: Mapping[str, Sequence[str]]


@dataclass
class Request:
    """`expected`: the exception's code when the form alone decides; `well_formed`: the model has nothing against it."""

    operation: str
    document: Any
    well_formed: bool = False
    expected: str | None = None
    what: str = field(default="as the model says")

    @property
    def body(self) -> bytes:
        text = json.dumps(self.document)
        for mark, raw in RAW.items():
            text = text.replace(f'"{mark}"', raw)
        return text.encode()


@st.composite
def satisfying(draw: st.DrawFn, known: Known) -> Request:
    """A request that has everything that the model demands, and nothing that it forbids."""
    operation = draw(st.sampled_from(OPERATIONS))
    shape = service_model().operation_model(operation).input_shape
    document = draw(_value(shape, known)) if shape is not None else {}
    if operation == "RunJobFlow" and draw(st.integers(0, 4)):
        whole = run_job_flow(Steps=[step("s")])
        document = {**{name: document[name] for name in document.keys() - {"Instances", "ServiceRole"}}, **whole}
        if draw(st.booleans()):
            document["Instances"]["InstanceGroups"][1]["InstanceCount"] = draw(_INSTANCE_COUNTS)
    return Request(operation, document, well_formed=True)


@st.composite
def broken(draw: st.DrawFn, known: Known) -> Request:
    """A request that satisfies the model but for one place."""
    request = draw(satisfying(known))
    shape = service_model().operation_model(request.operation).input_shape
    places = list(_places(shape, request.document, ""))
    request.well_formed = False
    if not places:
        request.document = draw(st.sampled_from(HOSTILE_VALUES))
        request.what = "hostile document"
        return request
    place = draw(st.sampled_from(places))
    breakages = [_hostile, _hostile, _unknown_member, _wrong_type, *_constraints(place.shape)]
    if place.required:
        breakages.append(_missing)
    draw(st.sampled_from(breakages))(draw, place, request)
    return request


GARBAGE_BODIES = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=10,
    ).map(lambda document: json.dumps(document).encode()),
    st.sampled_from([text.encode("utf-8", "surrogatepass") for text in HOSTILE_TEXTS]),
    st.sampled_from([raw.encode() for raw in RAW.values()]),
    st.sampled_from(["utf-16", "utf-32", "utf-8-sig", "latin-1"]).map('{"ClusterId": "ü"}'.encode),
)

GARBAGE_TARGETS = st.one_of(
    st.sampled_from(["", "ElasticMapReduce.", "ElasticMapReduce", "DynamoDB_20120810.ListTables", "../../x", "."]),
    st.sampled_from(OPERATIONS).map(lambda name: f"ElasticMapReduce.{name}"),
    st.sampled_from(OPERATIONS).map(lambda name: f"elasticmapreduce.{name.lower()}"),
    st.text(max_size=30).map(lambda text: f"ElasticMapReduce.{text}"),
)


@dataclass(frozen=True)
class _Place:
    """A member of a structure, an element of a list or of a map."""

    container: Any
    key: Any
    shape: Shape
    required: bool
    path: str

    @property
    def value(self) -> Any:
        return self.container[self.key]


def _places(shape: Shape | None, value: Any, path: str) -> Iterator[_Place]:
    children: Iterator[tuple[Any, Shape, bool]] = iter(())
    if isinstance(shape, StructureShape):
        children = ((name, shape.members[name], name in shape.required_members) for name in list(value))
    elif isinstance(shape, ListShape):
        children = ((index, shape.member, False) for index in range(len(value)))
    elif isinstance(shape, MapShape):
        children = ((name, shape.value, False) for name in list(value))
    for key, member, required in children:
        yield _Place(value, key, member, required, f"{path}/{key}")
        yield from _places(member, value[key], f"{path}/{key}")


Breakage = Callable[[st.DrawFn, _Place, Request], None]


def _hostile(draw: st.DrawFn, place: _Place, request: Request) -> None:
    place.container[place.key] = draw(st.sampled_from(HOSTILE_VALUES))
    request.what = f"hostile {place.path}"


def _unknown_member(draw: st.DrawFn, place: _Place, request: Request) -> None:
    """Ignored, as AWS ignores it."""
    holder = place.value if isinstance(place.shape, StructureShape) else request.document
    holder[draw(st.sampled_from(["Unheard", "clusterId", "__type", "", "ü"]))] = draw(st.sampled_from(["x", 1, [{}]]))
    request.what = f"unknown member at {place.path}"
    request.well_formed = True


def _wrong_type(draw: st.DrawFn, place: _Place, request: Request) -> None:
    wrong: dict[str, tuple[Any, ...]] = {
        "structure": ("x", 1, []),
        "map": ("x", 1, []),
        "list": ("x", 1, {}),
        "string": (1, 1.5, True, [], {}),
        "boolean": ("true", 1, []),
        "integer": ("1", True, 1.5, [], "raw:infinite", 2**31),
        "long": ("1", True, 1.5, []),
        "double": ("1", True, [], "raw:infinite", "raw:long"),
        "timestamp": ("now", True, [], "raw:infinite", "raw:long"),
    }
    place.container[place.key] = draw(st.sampled_from(wrong[place.shape.type_name]))
    request.what = f"wrong type at {place.path}"
    request.expected = "SerializationException"


def _missing(draw: st.DrawFn, place: _Place, request: Request) -> None:
    if draw(st.booleans()):
        del place.container[place.key]
    else:
        place.container[place.key] = None
    request.what = f"missing {place.path}"
    request.expected = "ValidationException"


def _constraints(shape: Shape) -> list[Breakage]:
    """The constraints of the shape, each broken."""
    found: list[Any] = []
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if isinstance(shape, StringShape):
        if shape.enum:
            found += ["ASLEEP", shape.enum[0].lower(), shape.enum[0] + " "]
        if shape.metadata.get("pattern"):
            found += ["\x01", "a\x7f\x0b", "\ufffe"]
        if high is not None:
            found.append("x" * (high + 1))
        if low:
            found.append("")
    elif not isinstance(shape, ListShape):
        if low is not None:
            found.append(low - 1)
        if high is not None:
            found.append(high + 1)
    if not found:
        return []

    def violate(draw: st.DrawFn, place: _Place, request: Request) -> None:
        place.container[place.key] = draw(st.sampled_from(found))
        request.what = f"constraint at {place.path}"
        request.expected = "ValidationException"

    return [violate]


_INSTANCE_COUNTS = st.sampled_from([0, 1, 2, 2, 3, 4, 1000, 2**31 - 1, -1])
_LIKELY: Mapping[str, st.SearchStrategy[Any]] = {
    "Jar": st.sampled_from(["command-runner.jar", "s3://b/x.jar", "../x.jar"]),
    "Path": st.sampled_from(["s3://b/x.sh", "file:///bin/true", "s3://b/../../x", "/etc/passwd"]),
    "LogUri": st.sampled_from(["s3://logs/prefix", "s3n://logs/", "s3a://logs/a b/", "s3://logs/../x", "/tmp"]),
    "InstanceType": st.sampled_from(["m5.xlarge", "m5.xlarge", "x9.huge"]),
    "InstanceCount": _INSTANCE_COUNTS,
    "InstanceRole": st.sampled_from(["MASTER", "CORE", "TASK"]),
    "IdleTimeout": st.sampled_from([60, 604_800, 0, -1, 2**62]),
    "StepConcurrencyLevel": st.sampled_from([1, 2, 256, 257, 0, -1]),
    "Classification": st.sampled_from(sorted(releases.CLASSIFICATIONS)),
    "ReleaseLabel": st.sampled_from([*releases.APPLICATIONS, "emr-9.9.9"]),
    "JobFlowRole": st.sampled_from(["emr_instance_profile", "misnamed", "nobody", "a\nb"]),
    "CreatedAfter": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**12), 10**12),
    "CreatedBefore": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**12), 10**12),
}


def _value(shape: Shape, known: Known, name: str = "", depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that the model takes. A list's elements bear the list's name."""
    if name in known.values and isinstance(shape, StringShape):
        return st.sampled_from(known.values[name])
    if name in _LIKELY and not isinstance(shape, StructureShape | ListShape):
        return _LIKELY[name]
    if isinstance(shape, StructureShape):
        return _structure(shape, known, depth)
    if isinstance(shape, MapShape):
        return st.dictionaries(_value(shape.key, known), _value(shape.value, known, name, depth + 1), max_size=2)
    if isinstance(shape, ListShape):
        return st.lists(st.deferred(lambda: _value(shape.member, known, name, depth)), max_size=2)
    if isinstance(shape, StringShape):
        low, high = shape.metadata.get("min", 0), shape.metadata.get("max")
        if shape.enum:
            return st.sampled_from(shape.enum)
        return _TEXTS.map(lambda text: text.ljust(low, "x")[:high])
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name == "boolean":
        return st.booleans()
    if shape.type_name in {"integer", "long"}:
        return st.integers(-(2**31) if low is None else low, 2**31 - 1 if high is None else high)
    return st.floats(low, high, allow_nan=False, allow_infinity=False)


@st.composite
def _structure(draw: st.DrawFn, shape: StructureShape, known: Known, depth: int) -> dict[str, Any]:
    optional = [name for name in shape.members if name not in shape.required_members]
    few = depth >= DEEPEST or (depth == 0 and len(optional) > 12 and draw(st.booleans()))
    chosen = [] if few or not optional else draw(st.lists(st.sampled_from(optional), max_size=5, unique=True))
    return {
        name: draw(_value(shape.members[name], known, name, depth + 1)) for name in [*shape.required_members, *chosen]
    }


# Characters that the model's pattern takes, some of each kind.
_TEXTS = st.text("abcXYZ019-_./:=' \"\\\t\n<>&äß€漢😀", max_size=20)
