"""AWS clients for the platform's one endpoint, with the operator's key."""

import os
from functools import cache
from typing import Any

from botocore.config import Config
from botocore.session import Session

from drydock import secrets, settings

# The user's own AWS profiles must neither be used nor be able to break anything here.
_NO_PROFILE = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


def operator_client(service: str, paths: settings.Paths, ports: settings.Ports, *, attempts: int = 3) -> Any:
    """A boto3-like client of `service` on the local gateway.

    `attempts` 1 never repeats a request: for health checks, which are repeated by whoever makes them.
    """
    key = secrets.operator_key(paths)
    return _session().create_client(
        service,
        region_name=settings.REGION,
        endpoint_url=ports.gateway_url,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
        config=Config(
            connect_timeout=2,
            read_timeout=10,
            retries={"total_max_attempts": attempts},
            proxies={},  # the endpoint is on loopback, whatever the user's proxy variables say
            s3={"addressing_style": "path"},
        ),
    )


@cache
def _session() -> Session:
    """One for all clients: it reads botocore's models, which takes a while, once."""
    return Session(session_vars=_NO_PROFILE)
