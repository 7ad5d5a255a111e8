"""What the gateway is told by its environment, read once at start.

DRYDOCK_OPERATOR_KEY_FILE     JSON {"access_key_id": …, "secret_access_key": …}: the key of the account's owner
DRYDOCK_GATEWAY_SECRET_FILE   text, at least 32 bytes: shared with the control plane
DRYDOCK_EMR_URL               the control plane, http://127.0.0.1:8088
DRYDOCK_ORCHESTRATOR_ROLE     the name of the role of the orchestrator's host, kestra-role
DRYDOCK_ORCHESTRATOR_TOKEN_FILE   text, at least 32 bytes: what that host gets the role's credentials with
DRYDOCK_GATEWAY_STORE         the folder in which all that S3, IAM, STS and EC2 are given is kept
DRYDOCK_GATEWAY_HOSTS         optional, comma-separated: names besides loopback's under which the gateway is called

LocalStack reads its own variables. Those that matter, and why:

GATEWAY_LISTEN=127.0.0.1:4566, GATEWAY_SERVER=drydock, SERVICES=s3,iam,sts,ec2
PROVIDER_OVERRIDE_S3=drydock  or S3 keeps its objects in memory and in temporary files
FILESYSTEM_ROOT, TEMP, XDG_CACHE_HOME, CONFIG_DIR, HOME   folders of ours, or its files go to /var/lib, /tmp and ~
OVERRIDE_IN_DOCKER=0          or it ignores FILESYSTEM_ROOT in a container
DISABLE_EVENTS=1, SKIP_SSL_CERT_DOWNLOAD=1, DNS_ADDRESS=0   or it looks for its maker's servers at start
DISABLE_CORS_CHECKS=1         its check takes S3A's Referer for an origin; the front door has one of its own
DISABLE_CORS_HEADERS=1        no page may read what is answered
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from drydock_gateway.errors import ConfigurationError

MINIMUM_SECRET_BYTES = 32  # what HS256 asks of its key (RFC 7518, section 3.2)


@dataclass(frozen=True)
class Settings:
    operator_access_key_id: str
    operator_secret_access_key: str = field(repr=False)
    gateway_secret: str = field(repr=False)
    emr_url: str
    orchestrator_role: str
    orchestrator_token: str = field(repr=False)
    store: Path
    extra_hosts: frozenset[str]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Raises ConfigurationError, with a sentence, when something is missing or unusable."""
        key_id, secret_key = _operator_key(_file(environment, "DRYDOCK_OPERATOR_KEY_FILE"))
        gateway_secret = _secret(_file(environment, "DRYDOCK_GATEWAY_SECRET_FILE"))
        orchestrator_token = _secret(_file(environment, "DRYDOCK_ORCHESTRATOR_TOKEN_FILE"))
        orchestrator_role = environment.get("DRYDOCK_ORCHESTRATOR_ROLE", "")
        if not orchestrator_role:
            raise ConfigurationError(
                "DRYDOCK_ORCHESTRATOR_ROLE is not set; it has to be the role of the orchestrator's host, kestra-role."
            )
        emr_url = environment.get("DRYDOCK_EMR_URL", "")
        if not emr_url.startswith(("http://", "https://")):
            raise ConfigurationError(
                f"DRYDOCK_EMR_URL is {emr_url!r}; it has to be the control plane's URL, such as http://127.0.0.1:8088."
            )
        store = environment.get("DRYDOCK_GATEWAY_STORE", "")
        if not store:
            raise ConfigurationError("DRYDOCK_GATEWAY_STORE is not set; it has to name the folder of what is kept.")
        hosts = environment.get("DRYDOCK_GATEWAY_HOSTS", "").split(",")
        return cls(
            operator_access_key_id=key_id,
            operator_secret_access_key=secret_key,
            gateway_secret=gateway_secret,
            emr_url=emr_url.rstrip("/"),
            orchestrator_role=orchestrator_role,
            orchestrator_token=orchestrator_token,
            store=Path(store),
            extra_hosts=frozenset(host.strip().lower() for host in hosts if host.strip()),
        )


def _file(environment: Mapping[str, str], name: str) -> Path:
    value = environment.get(name)
    if not value:
        raise ConfigurationError(f"{name} is not set; it has to name a file that only this user can read.")
    return Path(value)


def _secret(path: Path) -> str:
    secret = _text(path).strip()
    if len(secret.encode()) < MINIMUM_SECRET_BYTES:
        raise ConfigurationError(
            f"The secret in {path} has {len(secret.encode())} bytes; it needs {MINIMUM_SECRET_BYTES}."
        )
    return secret


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error


def _operator_key(path: Path) -> tuple[str, str]:
    try:
        document = json.loads(_text(path))
        key_id, secret_key = document["access_key_id"], document["secret_access_key"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path} does not hold an operator's key: "
            'expected JSON {"access_key_id": "…", "secret_access_key": "…"}.'
        ) from error
    if not (isinstance(key_id, str) and key_id and isinstance(secret_key, str) and secret_key):
        raise ConfigurationError(f"{path} holds an operator's key that is empty or no text.")
    return key_id, secret_key
