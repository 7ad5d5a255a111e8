"""Who the driver is: in a session of the platform's orchestrator role, whoever started it.

With the credentials that it was started with it assumes that role and, where it was not told which, reads the
configuration that names it.
"""

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

from drydock_driver.errors import UsageError, aws_errors

SESSION_NAME = "drydock-driver"
# What reading the configuration needs before the configuration names the platform's region; S3 redirects from it.
FIRST_REGION = "us-east-1"
_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=30)


def ambient_session() -> boto3.Session:
    """The credentials found in the environment, in a profile or from the machine."""
    session = boto3.Session()
    return session if session.region_name else boto3.Session(region_name=FIRST_REGION)


def session_of_role(role_arn: str, ambient: boto3.Session) -> boto3.Session:
    """A session of the role, renewed for as long as it is used; `ambient` itself when that is already one.

    Raises UsageError for what is no role's ARN, AwsRefused when the role may not be assumed.
    """
    account, role_name = _account_and_name(role_arn)
    with aws_errors("ask who I am"):
        sts = ambient.client("sts", config=_CONFIG)  # looks for credentials
        caller = sts.get_caller_identity()["Arn"]
    if f"::{account}:assumed-role/{role_name}/" in caller:
        return ambient

    inner = ambient._session  # boto3 offers no other way to botocore's refreshing credentials
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=lambda service, **credentials: inner.create_client(
            service, region_name=ambient.region_name, config=_CONFIG, **credentials
        ),
        source_credentials=ambient.get_credentials(),
        role_arn=role_arn,
        extra_args={"RoleSessionName": SESSION_NAME},
    )
    credentials = DeferredRefreshableCredentials(refresh_using=fetcher.fetch_credentials, method="assume-role")
    with aws_errors(f"assume the role {role_arn}"):
        credentials.get_frozen_credentials()
    acting = botocore.session.get_session()
    acting._credentials = credentials  # type: ignore[attr-defined]
    return boto3.Session(botocore_session=acting, region_name=ambient.region_name)


def _account_and_name(role_arn: str) -> tuple[str, str]:
    parts = role_arn.split(":")
    if len(parts) != 6 or parts[2] != "iam" or not parts[5].startswith("role/"):
        raise UsageError(f"`{role_arn}` is no role's ARN; expected `arn:aws:iam::<account>:role/<name>`.")
    return parts[4], parts[5].rsplit("/", 1)[1]
