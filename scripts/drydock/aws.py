"""AWS clients for the platform's one endpoint, with the operator's key, and the same for programs that are started."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from drydock import secrets, settings
from drydock.errors import ServiceFailed

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


@contextmanager
def operator_environment(paths: settings.Paths, ports: settings.Ports, folder: Path) -> Iterator[dict[str, str]]:
    """Variables with which any AWS SDK finds the gateway, and nothing of the user's own AWS configuration.

    The operator's key is in a file under `folder` for as long as the context lasts; the variables name it.
    """
    key = secrets.operator_key(paths)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="credentials-", dir=folder) as private:
        credentials = Path(private) / "credentials"
        credentials.touch(mode=secrets.FILE_MODE)
        credentials.write_text(
            f"[default]\naws_access_key_id = {key.access_key_id}\naws_secret_access_key = {key.secret_access_key}\n"
        )
        yield {
            "AWS_ENDPOINT_URL": ports.gateway_url,
            "AWS_DEFAULT_REGION": settings.REGION,
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@contextmanager
def explained(ports: settings.Ports, asked: str) -> Iterator[None]:
    """Raise as ServiceFailed what botocore raises. `asked` is what the gateway was asked to do: "list the buckets"."""
    try:
        yield
    except ClientError as error:
        raise ServiceFailed(f"The gateway refuses to {asked}: {error}.") from error
    except BotoCoreError as error:
        raise ServiceFailed(
            f"The gateway at {ports.gateway_url} does not answer when asked to {asked}: {error}. "
            "`make local-status` says more."
        ) from error


@cache
def _session() -> Session:
    """One for all clients: it reads botocore's models, which takes a while, once."""
    return Session(session_vars=_NO_PROFILE)
