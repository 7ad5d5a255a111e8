"""The access keys that were issued here, and whose they are.

Three kinds: the operator's, made with the installation; sessions of roles, issued by `sts:AssumeRole` or for a service
(`service_sessions`); and keys of IAM users. The last two live in LocalStack's own IAM and STS, which are only ever
read here.
"""

from datetime import UTC
from typing import Any

from localstack.aws.accounts import get_account_id_from_access_key_id

from drydock_gateway.principal import Key, Principal

PARTITION = "aws"


class Keyring:
    def __init__(self, operator_access_key_id: str, operator_secret_access_key: str) -> None:
        account_id = get_account_id_from_access_key_id(operator_access_key_id)
        self._operator = Key(
            Principal(f"arn:{PARTITION}:iam::{account_id}:root", account_id, operator_access_key_id),
            operator_secret_access_key,
        )

    @property
    def account_id(self) -> str:
        """The operator's, which is the platform's."""
        return self._operator.principal.account_id

    def find(self, access_key_id: str) -> Key | None:
        """The key of this id, or None if it was never issued, was deleted, or is inactive."""
        if access_key_id == self._operator.principal.access_key_id:
            return self._operator
        # The account is part of the key's id, which nobody has vouched for yet: look, but let nothing be created.
        account_id = get_account_id_from_access_key_id(access_key_id)
        return _session_key(account_id, access_key_id) or _user_key(account_id, access_key_id)


def _session_key(account_id: str, access_key_id: str) -> Key | None:
    from moto.sts.models import sts_backends  # late: IAM's model takes seconds to load, and the health check needs none

    backend = _existing(sts_backends, account_id)
    session = backend.get_assumed_role_from_access_key(access_key_id) if backend else None
    if session is None:
        return None
    principal = Principal(session.arn, account_id, access_key_id, role_arn=session.role_arn)
    return Key(principal, session.secret_access_key, session.session_token, session.expiration.replace(tzinfo=UTC))


def _user_key(account_id: str, access_key_id: str) -> Key | None:
    from moto.iam.models import iam_backends

    backend = _existing(iam_backends, account_id)
    # Copies: other requests make users and keys meanwhile.
    for user in list(backend.users.values()) if backend else ():
        for key in list(user.access_keys):
            if key.access_key_id == access_key_id and key.status == "Active":
                return Key(Principal(user.arn, account_id, access_key_id), key.secret_access_key)
    return None


def _existing(backends: Any, account_id: str) -> Any:
    """An account's backend, if anything was ever made in that account. (Indexing would create one.)"""
    return backends[account_id][PARTITION] if account_id in backends else None
