"""What the gateway holds, noted down: it forgets it all when it stops, and the user should be told what that was."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from drydock import aws, settings
from drydock.errors import ServiceFailed
from drydock.health import PROBE_BUCKET_PREFIX

_DAY = re.compile(r"(?:^|/)ship_date=(\d{4}-\d{2}-\d{2})/")


@dataclass(frozen=True)
class Contents:
    """Buckets by name, the number of objects in them, and the days (ISO dates) that there are partitions of."""

    buckets: tuple[str, ...]
    objects: int
    days: tuple[str, ...]

    def __str__(self) -> str:
        held = f"{len(self.buckets)} buckets with {self.objects} objects"
        if not self.days:
            return f"{held}, no day of data among them"
        if len(self.days) == 1:
            return f"{held}, a day of data among them ({self.days[0]})"
        return f"{held}, {len(self.days)} days of data among them ({self.days[0]} to {self.days[-1]})"


def buckets(paths: settings.Paths, ports: settings.Ports) -> tuple[str, ...]:
    """The names of the gateway's buckets now, but for those of a look at its health.

    Raises ServiceFailed when the gateway does not answer as it should; so does `read`.
    """
    s3 = aws.operator_client("s3", paths, ports)
    with aws.explained(ports, "list its buckets"):
        names = (bucket["Name"] for bucket in s3.list_buckets()["Buckets"])
        return tuple(sorted(name for name in names if not name.startswith(PROBE_BUCKET_PREFIX)))


def read(paths: settings.Paths, ports: settings.Ports) -> Contents:
    """What the gateway holds now."""
    s3 = aws.operator_client("s3", paths, ports)
    names = buckets(paths, ports)
    objects, days = 0, set()
    with aws.explained(ports, "list what its buckets hold"):
        for bucket in names:
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for entry in page.get("Contents", ()):
                    objects += 1
                    days.update(_DAY.findall(entry["Key"]))
    return Contents(names, objects, tuple(sorted(days)))


def note(paths: settings.Paths, contents: Contents) -> None:
    """Write down what the gateway holds."""
    paths.data.mkdir(parents=True, exist_ok=True)
    file = _file(paths)
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(contents), indent=2) + "\n")
    draft.replace(file)


def noted(paths: settings.Paths) -> Contents | None:
    """What was written down last, None when nothing was."""
    try:
        document = json.loads(_file(paths).read_text())
    except FileNotFoundError:
        return None
    return Contents(tuple(document["buckets"]), int(document["objects"]), tuple(document["days"]))


def note_if_answering(paths: settings.Paths, ports: settings.Ports) -> Contents | None:
    """`read` and `note`, where the gateway answers; None where it does not, and the last note stands."""
    try:
        contents = read(paths, ports)
    except ServiceFailed:
        return None
    note(paths, contents)
    return contents


def _file(paths: settings.Paths) -> Path:
    return paths.data / "gateway-contents.json"
