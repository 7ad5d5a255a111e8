"""S3 as the instance profile: clients that renew their credentials, and the URLs that EMR takes for one."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import boto3
import botocore.session
from boto3.exceptions import Boto3Error
from botocore.config import Config as BotoConfig
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from s3transfer.exceptions import RetriesExceededError

from drydock_emr.node.credentials import CredentialsCache
from drydock_emr.node.errors import DownloadFailed, NodeError, NotAnS3Url

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

SCHEMES = ("s3", "s3a", "s3n")


@dataclass(frozen=True)
class S3Url:
    """An object or a prefix. Shown as s3://, whichever of the three schemes it was given with."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, url: str) -> "S3Url":
        """Raises NotAnS3Url. The key is taken as it stands, blanks and percent signs included, as EMR takes it."""
        scheme, separator, rest = url.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme.lower() not in SCHEMES or not separator or not bucket:
            raise NotAnS3Url(f"{url!r} is not an S3 URL; expected s3://bucket/key, or s3a:// or s3n:// in its place.")
        return cls(bucket, key)

    def __truediv__(self, key: str) -> "S3Url":
        base = self.key.rstrip("/")
        return S3Url(self.bucket, f"{base}/{key}" if base else key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def client(cache: CredentialsCache, endpoint_url: str, region: str) -> "S3Client":
    """An S3 client as the instance profile. Path style, since bucket names are no host names on a local endpoint."""

    def refresh() -> dict[str, str]:
        document = cache.get()
        return {
            "access_key": document["AccessKeyId"],
            "secret_key": document["SecretAccessKey"],
            "token": document["Token"],
            "expiry_time": document["Expiration"],
        }

    credentials = RefreshableCredentials.create_from_metadata(refresh(), refresh, "container-role")
    session = botocore.session.Session()
    session._credentials = credentials  # type: ignore[attr-defined]  # botocore has no public way to set these
    return boto3.Session(botocore_session=session).client(
        "s3",
        region_name=region,
        endpoint_url=endpoint_url,
        config=BotoConfig(
            s3={"addressing_style": "path"},
            connect_timeout=5,
            read_timeout=30,
            retries={"mode": "standard", "total_max_attempts": 3},
        ),
    )


def fetch(url: str, target: Path, s3_client: Callable[[], "S3Client"]) -> None:
    """Put the script or jar at `url` (S3, or file:// on this node) into `target`. Raises DownloadFailed."""
    try:
        if url.startswith("file://"):
            shutil.copyfile(unquote(urlsplit(url).path), target)
        else:
            place = S3Url.parse(url)
            s3_client().download_file(place.bucket, place.key, str(target))
        target.chmod(0o700)  # a script is run by its name
    # ValueError: a file URL that none can read (`file://[`), a path with a NUL
    except (Boto3Error, BotoCoreError, ClientError, RetriesExceededError, OSError, ValueError, NodeError) as error:
        raise DownloadFailed(f"{url} could not be fetched: {error}") from error


def script_argv(script: Path, args: tuple[str, ...]) -> list[str]:
    """How to run a fetched script: by its first line, or by bash when that names no interpreter."""
    with script.open("rb") as file:
        interpreted = file.read(2) == b"#!"
    return [str(script), *args] if interpreted else ["/bin/bash", str(script), *args]
