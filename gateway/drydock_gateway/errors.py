"""What can go wrong in the gateway, as one small tree.

GatewayError
├── ConfigurationError      the environment is not one the gateway can start in; it ends with the sentence
├── Refused                 a request is not authenticated; `refusals` says so in the called service's words
├── NoSuchEntity            a service asked for the credentials of a role that is not there
└── NotTrusted              the role's trust policy does not let the service assume it
"""

from enum import Enum, auto
from typing import Any


class GatewayError(Exception):
    """Explained by its message alone."""


class ConfigurationError(GatewayError):
    """The gateway cannot start like this."""


class Reason(Enum):
    """Why a request is not authenticated. Services have a code of their own for most of them."""

    ANONYMOUS = auto()  # no signature at all
    MECHANISM = auto()  # signed, but not with AWS4-HMAC-SHA256
    MALFORMED_HEADER = auto()  # the Authorization header
    NO_DATE = auto()  # signed by header, without a date that can be read
    MALFORMED_QUERY = auto()  # the X-Amz-… parameters of a presigned URL
    TWO_MECHANISMS = auto()  # header and query at once
    UNKNOWN_KEY = auto()  # never issued here, deleted, or inactive
    WRONG_TOKEN = auto()  # the session token is not the one that belongs to the key
    EXPIRED_TOKEN = auto()
    SKEWED = auto()  # signed too long ago, or in the future
    EXPIRED_URL = auto()
    URL_NOT_YET_VALID = auto()
    WRONG_SCOPE = auto()  # the credential is scoped to another day or service
    UNSIGNED_HEADERS = auto()
    WRONG_SIGNATURE = auto()
    NO_PAYLOAD_HASH = auto()  # S3 wants x-amz-content-sha256
    BAD_PAYLOAD_HASH = auto()  # … and one of its own values in it
    WRONG_PAYLOAD = auto()  # the body is not what was signed
    BROKEN_CHUNKS = auto()  # an aws-chunked body that cannot be read


class Refused(GatewayError):
    """A request that is not authenticated.

    `details` carries what some services tell about the reason: the string that was to be signed, the request's time
    against ours. Nothing in it is secret.
    """

    def __init__(self, reason: Reason, message: str = "", **details: Any) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.details = details


class NoSuchEntity(GatewayError):
    """A role or an instance profile that does not exist."""


class NotTrusted(GatewayError):
    """The trust policy of a role does not let the service assume it."""


class StoreUnusable(GatewayError):
    """The store cannot be opened: another gateway has it, it is of another format, or the disk says no."""


class Damaged(GatewayError):
    """A record of the store is not whole, or none at all."""


class Superseded(GatewayError):
    """An object was overwritten or deleted between being found and being opened."""
