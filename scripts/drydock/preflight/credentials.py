"""Whether the caller's shell would reach real AWS by mistake. Names are told, values never. Standard library only."""

import configparser
from collections.abc import Iterator, Mapping
from pathlib import Path

from drydock import settings
from drydock.preflight.finding import Finding, ok, warning

SUBJECT = "AWS credentials"
# By each of these alone a client finds credentials.
BY_VARIABLE = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
)
# What of a profile is, or leads to, credentials; without one of these it has a region, an output format and the like.
BY_PROFILE = ("aws_access_key_id", "credential_process", "role_arn", "sso_session", "sso_start_url", "login_session")
ENDPOINT = "AWS_ENDPOINT_URL"


def look(variables: Mapping[str, str]) -> Iterator[Finding]:
    """`variables` are the caller's own, of which the verbs see none (see `cli.leave_the_callers_aws`)."""
    ours = settings.Ports().gateway_url
    elsewhere = [name for name in sorted(variables) if name.startswith(ENDPOINT) and variables[name] != ours]
    if variables.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        elsewhere.append("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
    if variables.get(ENDPOINT) == ours and not elsewhere:
        yield ok(SUBJECT, f"{ENDPOINT} leads to this platform: a bare `aws` or `terraform` stays here")
        return
    named = [name for name in BY_VARIABLE if variables.get(name)] + elsewhere
    named += [f"the default profile in `{file}`" for file in _files(variables) if _has_default(file)]
    if named:
        yield warning(
            SUBJECT,
            f"This shell has {_listed(named)}. What `make` runs never sees them, but a bare `aws` or `terraform` in it "
            "reaches real AWS, or whatever they lead to.",
            'With the platform up, `eval "$(make -s env)"` makes this shell speak to the platform alone.',
        )
    else:
        yield ok(SUBJECT, "none that a bare `aws` or `terraform` in this shell could reach real AWS with")


def _files(variables: Mapping[str, str]) -> list[Path]:
    home = Path.home() / ".aws"
    return [
        Path(variables.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials").expanduser(),
        Path(variables.get("AWS_CONFIG_FILE") or home / "config").expanduser(),
    ]


def _has_default(file: Path) -> bool:
    parser = configparser.RawConfigParser(default_section="", strict=False)
    try:
        parser.read(file)
    except (OSError, ValueError, configparser.Error):
        return True  # something is there, which clients may read better
    return any(parser.has_option("default", name) for name in BY_PROFILE)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
