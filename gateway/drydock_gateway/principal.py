"""Callers, and the keys that prove them."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Principal:
    """Who a request is from. Authorisation starts from this: every authenticated request carries one."""

    arn: str  # arn:aws:iam::…:root, arn:aws:iam::…:user/…, arn:aws:sts::…:assumed-role/<role>/<session>
    account_id: str
    access_key_id: str
    role_arn: str | None = None  # of a session: the role whose policies apply


@dataclass(frozen=True)
class Key:
    principal: Principal
    secret_access_key: str = field(repr=False)  # never in a log
    token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
