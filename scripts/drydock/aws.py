"""The ways into an AWS account: the local platform's, with the operator's key, and the one of the caller's environment.

Both give clients, and what a program that is started needs to find the same account.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from drydock import secrets, settings
from drydock.errors import ServiceFailed

# A gateway that is away stays away for seconds at least; deltalake would ask ten times, and for three minutes.
DELTA_ANSWER_SECONDS = 10
DELTA_RETRIES = 2
# The user's own AWS profiles must neither be used nor be able to break anything on the local platform.
_NO_PROFILE = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


class Account(Protocol):
    """A way into an AWS account."""

    @property
    def region(self) -> str:
        """The region of everything."""

    @property
    def endpoint_url(self) -> str | None:
        """Where all requests go, if not to AWS's own endpoints."""

    def client(self, service: str) -> Any:
        """A boto3-like client."""

    def environment(self, folder: Path) -> AbstractContextManager[dict[str, str]]:
        """Variables with which a program finds the account for as long as the context lasts; what has to lie in a file
        meanwhile lies under `folder`."""

    def explained(self, asked: str) -> AbstractContextManager[None]:
        """Raise as ServiceFailed what botocore raises. `asked` is what was asked for: "list the buckets"."""

    def storage_options(self) -> dict[str, str]:
        """What deltalake is told to find S3. It holds secrets."""


class LocalAccount:
    """The local platform's, with the operator's key."""

    region = settings.REGION

    def __init__(self, paths: settings.Paths, ports: settings.Ports) -> None:
        self._paths = paths
        self._ports = ports

    @property
    def endpoint_url(self) -> str:
        return self._ports.gateway_url

    def client(self, service: str) -> Any:
        return operator_client(service, self._paths, self._ports)

    def environment(self, folder: Path) -> AbstractContextManager[dict[str, str]]:
        return operator_environment(self._paths, self._ports, folder)

    def explained(self, asked: str) -> AbstractContextManager[None]:
        return explained(self._ports, asked)

    def storage_options(self) -> dict[str, str]:
        """The operator's key, how long to wait, and to use no proxy."""
        key, url = secrets.operator_key(self._paths), self._ports.gateway_url
        return {
            **_delta_options(key.access_key_id, key.secret_access_key, self.region),
            **_delta_endpoint(url),
            "connect_timeout": f"{DELTA_ANSWER_SECONDS}s",
            "timeout": f"{DELTA_ANSWER_SECONDS}s",
            "retry_timeout": f"{DELTA_ANSWER_SECONDS}s",
            "max_retries": str(DELTA_RETRIES),
            # The caller's proxy variables count unless a proxy is named here; the endpoint is excluded from this one.
            "proxy_url": url,
            "proxy_excludes": settings.LOOPBACK,
        }


class CallersAccount:
    """The one that the caller's environment and AWS profiles lead to, as they lead every AWS program there."""

    def __init__(self, session: Session, region: str) -> None:
        self._session = session
        self.region = region

    @property
    def endpoint_url(self) -> str | None:
        """Of the environment, or else of the profile, as botocore has it; None: AWS's own."""
        return os.environ.get("AWS_ENDPOINT_URL") or self._session.get_scoped_config().get("endpoint_url")

    def client(self, service: str) -> Any:
        return self._session.create_client(
            service,
            region_name=self.region,
            config=Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 5}),
        )

    @contextmanager
    def environment(self, folder: Path) -> Iterator[dict[str, str]]:
        """The caller's own variables: what they lead to may be renewed meanwhile, by single sign-on for instance."""
        callers = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
        # What is not botocore does not look into profiles for it.
        endpoint = {"AWS_ENDPOINT_URL": self.endpoint_url} if self.endpoint_url else {}
        yield {**callers, **endpoint, "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}

    @contextmanager
    def explained(self, asked: str) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            raise ServiceFailed(f"AWS refuses to {asked}: {error}.") from error
        except BotoCoreError as error:
            raise ServiceFailed(f"AWS does not answer when asked to {asked}: {error}.") from error

    def storage_options(self) -> dict[str, str]:
        """As much as botocore found out: deltalake knows fewer ways to credentials."""
        credentials = self._session.get_credentials()
        if credentials is None:
            raise ServiceFailed("There are no AWS credentials in this environment.")
        frozen = credentials.get_frozen_credentials()
        token = {"AWS_SESSION_TOKEN": frozen.token} if frozen.token else {}
        endpoint = _delta_endpoint(self.endpoint_url) if self.endpoint_url else {}
        return {**_delta_options(str(frozen.access_key), str(frozen.secret_key), self.region), **token, **endpoint}


def _delta_options(access_key_id: str, secret_access_key: str, region: str) -> dict[str, str]:
    return {"AWS_ACCESS_KEY_ID": access_key_id, "AWS_SECRET_ACCESS_KEY": secret_access_key, "AWS_REGION": region}


def _delta_endpoint(url: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
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
    """`endpoint_environment` of the gateway, with the operator's key."""
    key = secrets.operator_key(paths)
    credentials = {"aws_access_key_id": key.access_key_id, "aws_secret_access_key": key.secret_access_key}
    with endpoint_environment(ports.gateway_url, credentials, folder) as variables:
        yield variables


@contextmanager
def endpoint_environment(url: str, credentials: Mapping[str, str], folder: Path) -> Iterator[dict[str, str]]:
    """Variables with which any AWS SDK finds the endpoint, and nothing of the user's own AWS configuration.

    The credentials, by their names in AWS's file of them, are in such a file under `folder` for as long as the context
    lasts; the variables name it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="credentials-", dir=folder) as private:
        file = Path(private) / "credentials"
        file.touch(mode=secrets.FILE_MODE)
        file.write_text("".join(["[default]\n", *(f"{name} = {value}\n" for name, value in credentials.items())]))
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_DEFAULT_REGION": settings.REGION,
            "AWS_SHARED_CREDENTIALS_FILE": str(file),
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
