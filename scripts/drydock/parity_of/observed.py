"""The calls that the gateway has seen the roles make, held against the list of those that they need."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from drydock.parity_of.calls import (
    FOLDERS,
    NEEDED,
    OF_BUCKETS,
    OUTPUT,
    SOURCE,
)
from drydock.parity_of.comparison import Item, Section, Verdict
from drydock.parity_of.facts import ROLES

# As `drydock_gateway` writes them: call_log.py, and front_door.py for EMR's.
LINE = re.compile(
    r"^(?P<at>\S+) .*: (?P<service>\w+)\.(?P<operation>\w+)(?: /(?P<path>\S*))? => \d+(?: \(\w+\))?, "
    r"arn:[\w-]+:sts::\d+:assumed-role/(?P<role>[^/\s]+)/"
)
ACTIONS = {
    "HeadObject": "GetObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "DeleteObjects": "DeleteObject",
    "ListParts": "ListMultipartUploadParts",
    "ListMultipartUploads": "ListBucketMultipartUploads",
}
"""S3's operations that IAM knows by the name of another one; the others have an action of their own name."""
OBJECTS_OF = {SOURCE: "an object of the raw data", OUTPUT: "an object of the tables"}
THINGS = {
    "elasticmapreduce:RunJobFlow": "a request with our tags",
    "elasticmapreduce:ListClusters": "anything",
    "sts:GetCallerIdentity": "anything",
}
Key = tuple[str, str, str]
"""Principal, IAM's action, and the thing by its name in `calls`."""


@dataclass(frozen=True)
class Seen:
    """A call that was made: `at` a time in UTC, `request` as the gateway's log has it."""

    key: Key
    at: str
    request: str


def compare(lines: Iterable[str], name_prefix: str = "") -> Section:
    """What is seen has to be in the list. What is not seen has not been made since the log began."""
    seen = {call.key: call for call in calls(lines, name_prefix)}
    listed = {(call.principal, call.action, call.thing): call for call in NEEDED}
    items = []
    for key, call in listed.items():
        if key in seen:
            items.append(Item(_title(key), Verdict.SAME))
        elif not call.is_implied:
            items.append(Item(_title(key), Verdict.UNKNOWN, note=f"Not seen in the gateway's log. For: {call.why}."))
    items += [
        Item(
            _title(key),
            Verdict.DIFFERENT,
            note="Not in the list of what is needed, for which the roles' policies are made. The last one, at "
            f"{seen[key].at}: {seen[key].request}",
        )
        for key in sorted(seen.keys() - listed.keys())
    ]
    return Section("Calls that the gateway has seen", items)


def calls(lines: Iterable[str], name_prefix: str = "") -> Iterator[Seen]:
    """Those that the two roles have made."""
    principals = {name_prefix + role: principal for principal, role in ROLES.items()}
    for line in lines:
        found = LINE.search(line)
        if found and found["role"] in principals:
            service, operation, path = found["service"], found["operation"], found["path"] or ""
            action, thing = _action(service, operation, path, name_prefix)
            request = f"{service}.{operation}{f' /{path}' if path else ''}"
            yield Seen((principals[found["role"]], action, thing), found["at"], request)


def _action(service: str, operation: str, path: str, name_prefix: str) -> tuple[str, str]:
    if service == "s3":
        bucket, _, key = unquote(path).partition("/")
        return f"s3:{ACTIONS.get(operation, operation)}", _thing(bucket.removeprefix(name_prefix), key, operation)
    action = f"{'elasticmapreduce' if service == 'ElasticMapReduce' else service}:{operation}"
    return action, THINGS.get(action, "our cluster")


def _thing(bucket: str, key: str, operation: str) -> str:
    if operation == "DeleteObjects":  # names the keys in its body
        return OBJECTS_OF.get(bucket, bucket)
    if not key:
        return OF_BUCKETS.get(bucket, bucket)
    return next((name for of, prefix, name in FOLDERS if of == bucket and key.startswith(prefix)), f"{bucket}/{key}")


def _title(key: Key) -> str:
    principal, action, thing = key
    return f"{principal}: {action}, {thing}"
