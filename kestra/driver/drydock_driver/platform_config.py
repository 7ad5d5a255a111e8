"""`platform.json`: what Terraform tells the driver about the platform it made. All the driver has to read."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from drydock_driver.errors import PlatformConfigError, UsageError, aws_errors
from drydock_driver.s3_uri import S3Uri

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

FORMAT = 1
WISHES: dict[str, type] = {
    "core_count": int,
    "instance_type": str,
    "release_label": str,
    "applications": list,
    "bootstrap_actions": list,
    "configurations": list,
}
T = TypeVar("T")
# `${name}` is the shell's, and braces around anything but a lower-case name are somebody's JSON.
_PLACEHOLDER = re.compile(r"(?<!\$)\{([a-z_]+)\}")


@dataclass(frozen=True)
class Platform:
    """The platform, as `RunJobFlow` needs to know it. URIs have no trailing slash."""

    name: str
    region: str
    release_label: str
    applications: tuple[str, ...]
    master_instance_type: str
    core_instance_type: str
    core_count: int
    subnet_id: str
    ec2_key_name: str | None
    master_security_group: str
    slave_security_group: str
    service_role: str
    instance_profile: str
    kestra_role_arn: str
    application_uri: str
    source_uri: str
    output_uri: str
    log_uri: str
    audit_uri: str
    bootstrap_actions: tuple[dict[str, Any], ...]
    configurations: tuple[dict[str, Any], ...]
    tags: dict[str, str]
    idle_timeout_seconds: int

    def changed(self, wishes: Mapping[str, Any]) -> "Platform":
        """The platform as one run wants its cluster; a wish that is None is none.

        Wishes are those of `WISHES`; an `instance_type` is of all nodes. `bootstrap_actions` and `configurations` have
        the form that they have in the configuration, and an action's path and arguments may hold `{application_uri}`
        and its like. Raises UsageError for any other wish, or one of another type.
        """
        given: dict[str, Any] = {name: value for name, value in wishes.items() if value is not None}
        for name, value in given.items():
            if name not in WISHES:
                raise UsageError(f"A cluster has no setting `{name}`; known are {', '.join(sorted(WISHES))}.")
            if not isinstance(value, WISHES[name]) or isinstance(value, bool):
                raise UsageError(f"The setting `{name}` is {value!r}; expected a {WISHES[name].__name__}.")
        if (of_all := given.pop("instance_type", None)) is not None:
            given |= {"master_instance_type": of_all, "core_instance_type": of_all}
        if given.get("core_count", 1) < 0:
            raise UsageError(f"The setting `core_count` is {given['core_count']}; a cluster has none or more.")
        actions = given.pop("bootstrap_actions", None)
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
        changed = replace(self, **fields)
        return changed if actions is None else replace(changed, bootstrap_actions=tuple(map(self._action, actions)))

    def _action(self, of: Any) -> dict[str, Any]:
        if not isinstance(of, dict) or not isinstance(of.get("name"), str) or not isinstance(of.get("path"), str):
            raise UsageError(
                f"A bootstrap action is {of!r}; expected an object with `name`, `path` and, perhaps, `args`."
            )
        return {
            "name": of["name"],
            "path": self.expand(of["path"]),
            "args": [self.expand(a) for a in of.get("args", [])],
        }

    def expand(self, argument: str, **more: str) -> str:
        """Replace `{application_uri}` and its like in a step's argument.

        `more` adds names of the run's own, such as `date`. Raises UsageError for a name that is not known.
        """
        known = {
            "platform": self.name,
            "region": self.region,
            "application_uri": self.application_uri,
            "source_uri": self.source_uri,
            "output_uri": self.output_uri,
            "log_uri": self.log_uri,
        } | more

        def value(match: re.Match[str]) -> str:
            if match[1] not in known:
                names = ", ".join(f"{{{name}}}" for name in sorted(known))
                raise UsageError(f"`{argument}` has the unknown placeholder `{match[0]}`; known are {names}.")
            return known[match[1]]

        return _PLACEHOLDER.sub(value, argument)


def load(s3: "S3Client", uri: str) -> Platform:
    """Read and check the configuration at `uri`. Raises PlatformConfigError, AwsRefused or AwsUnreachable."""
    place = S3Uri.parse(uri)
    with aws_errors(f"read the platform's configuration {place}"):
        body = s3.get_object(Bucket=place.bucket, Key=place.key)["Body"].read()
    try:
        document = json.loads(body)
    except ValueError as error:
        raise PlatformConfigError(f"{place} is not JSON ({error}); apply Terraform again.") from error
    return parse(document, str(place))


def parse(document: Any, origin: str) -> Platform:
    """Check a configuration read from `origin`. Raises PlatformConfigError naming the field that is wrong."""
    fields = _Fields(document, origin)
    if (found := fields.get("format", int)) != FORMAT:
        raise PlatformConfigError(f"{origin} has format {found}, this driver reads format {FORMAT}: update the older.")
    return Platform(
        name=fields.get("platform", str),
        region=fields.get("region", str),
        release_label=fields.get("release_label", str),
        applications=tuple(fields.get("applications", list)),
        master_instance_type=fields.get("instance_types.master", str),
        core_instance_type=fields.get("instance_types.core", str),
        core_count=fields.get("core_count", int),
        subnet_id=fields.get("subnet_id", str),
        ec2_key_name=fields.get_optional("ec2_key_name", str),
        master_security_group=fields.get("security_groups.master", str),
        slave_security_group=fields.get("security_groups.slave", str),
        service_role=fields.get("roles.service", str),
        instance_profile=fields.get("roles.instance_profile", str),
        kestra_role_arn=fields.get("roles.kestra_arn", str),
        application_uri=fields.get_uri("application_uri"),
        source_uri=fields.get_uri("source_uri"),
        output_uri=fields.get_uri("output_uri"),
        log_uri=fields.get_uri("log_uri"),
        audit_uri=fields.get_uri("audit_uri"),
        bootstrap_actions=tuple(fields.get("bootstrap_actions", list)),
        configurations=tuple(fields.get("configurations", list)),
        tags=dict(fields.get("tags", dict)),
        idle_timeout_seconds=fields.get("idle_timeout_seconds", int),
    )


class _Fields:
    """A JSON document whose fields are looked up by dotted path and type."""

    def __init__(self, document: Any, origin: str) -> None:
        self._document = document
        self._origin = origin

    def get(self, path: str, kind: type[T]) -> T:
        value = self._document
        for name in path.split("."):
            if not isinstance(value, dict) or name not in value:
                raise PlatformConfigError(f"{self._origin} has no `{path}`; apply Terraform again.")
            value = value[name]
        if not isinstance(value, kind) or value == "":
            raise PlatformConfigError(f"{self._origin} has {value!r} for `{path}`; expected a {kind.__name__}.")
        return value

    def get_optional(self, name: str, kind: type[T]) -> T | None:
        """None where it is null, or not there: those who wrote the configuration knew no such field yet."""
        is_there = isinstance(self._document, dict) and self._document.get(name) is not None
        return self.get(name, kind) if is_there else None

    def get_uri(self, path: str) -> str:
        try:
            return str(S3Uri.parse(self.get(path, str))).rstrip("/")
        except UsageError as error:
            raise PlatformConfigError(f"{self._origin}: `{path}`: {error}") from error
