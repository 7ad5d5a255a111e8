"""Where a platform is: an account, what is different there, and the names that things have in it.

Verbs that act on days, tables and clusters are given one, and are the same locally and on AWS.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from drydock import aws, settings
from drydock.errors import SetupError

LOCAL, AWS = "local", "aws"  # profiles, as in terraform/profiles
LOCAL_PLATFORM = "drydock"
STATE_BUCKET = "spark-kestra-platform"  # of this and the next, on AWS with a prefix before it
INPUT_BUCKET = "spark-job-data-input"
BUCKETS = (
    INPUT_BUCKET,
    "spark-job-data-source-1",
    "spark-job-data-output",
    "emr-cluster-spark-logs",
    "builditall-logs",
)
PLATFORM_CONFIG_KEY = "config/platform.json"  # as in terraform/main.tf
PLATFORM_CONFIG_URI = f"s3://{INPUT_BUCKET}/{PLATFORM_CONFIG_KEY}"  # the local platform's


@dataclass(frozen=True)
class Site:
    """Where a platform is."""

    profile: str
    account: aws.Account
    name_prefix: str
    directory: Path
    """Of what is kept on this machine about it: where Terraform runs, for instance."""
    log: Path
    """What Terraform says."""
    paths: settings.Paths
    history_server_url: str | None
    """Of Spark's History Server, where there is one."""
    pages: tuple[tuple[str, str], ...]
    """Where a person sees more: what, and its address."""
    verbs: "Verbs"
    stopping_seconds: int
    """How long an execution that is to be stopped may take: its driver waits for its cluster's end before its own."""
    aws_cli: str
    """How `aws` is called for the account to be found: before its own arguments."""
    variable_files: tuple[Path, ...] = ()
    """What Terraform is told over the profile, later ones over earlier ones."""

    @property
    def platform(self) -> str:
        """The value of the tag `platform`, with which clusters' names begin: what tells deployments in one account
        apart. As in terraform/main.tf."""
        return self.name_prefix.removesuffix("-") or LOCAL_PLATFORM

    @property
    def state_bucket(self) -> str:
        return self.name_prefix + STATE_BUCKET

    @property
    def input_bucket(self) -> str:
        return self.name_prefix + INPUT_BUCKET

    @property
    def platform_config_uri(self) -> str:
        return f"s3://{self.input_bucket}/{PLATFORM_CONFIG_KEY}"

    def platform_config(self) -> dict[str, Any]:
        """The description of the platform, which Terraform has put into S3 and the driver reads.

        Raises SetupError when there is none, ServiceFailed when the account does not answer, or refuses.
        """
        s3 = self.account.client("s3")
        with self.account.explained(f"read `{self.platform_config_uri}`"):
            try:
                answer = s3.get_object(Bucket=self.input_bucket, Key=PLATFORM_CONFIG_KEY)
                config: dict[str, Any] = json.loads(answer["Body"].read())
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("NoSuchKey", "NoSuchBucket"):
                    raise
                raise SetupError(
                    f"`{self.platform_config_uri}` is not there. `make {self.verbs.deploy}` makes it."
                ) from error
        return config

    def existing(self, buckets: Sequence[str]) -> list[str]:
        """Those of the buckets that are there. Raises ServiceFailed."""
        with self.account.explained("list the buckets"):
            there = {each["Name"] for each in self.account.client("s3").list_buckets()["Buckets"]}
        return [each for each in buckets if each in there]

    @property
    def where_to_look(self) -> str:
        """A sentence that ends those about a failure."""
        return f"Clusters, steps and logs: {dict(self.pages)[EMR_PAGE]}."


EMR_PAGE = "EMR console"


@dataclass(frozen=True)
class Verbs:
    """What `make` is told to do there."""

    deploy: str
    run: str
    status: str
    end: str


def local(paths: settings.Paths, ports: settings.Ports) -> Site:
    """The local platform."""
    return Site(
        profile=LOCAL,
        account=aws.LocalAccount(paths, ports),
        name_prefix="",
        directory=paths.terraform / LOCAL,
        log=paths.logs / "terraform.log",
        paths=paths,
        history_server_url=ports.history_server_url,
        pages=(
            (EMR_PAGE, f"{ports.emr_url} (its login link: `make -s env`)"),
            ("Spark master", f"http://{settings.LOOPBACK}:{ports.node_ui(1)}"),
            ("History Server", ports.history_server_url),
        ),
        verbs=Verbs(deploy="local-up", run="run", status="local-status", end="local-down"),
        stopping_seconds=180,
        aws_cli='eval "$(make -s env)"; aws',
    )
