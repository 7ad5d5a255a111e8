"""Who sent a request: the one decision that everything behind the front door builds on."""

import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

from drydock_gateway.errors import Reason, Refused
from drydock_gateway.payload import check_payload, declared_hash
from drydock_gateway.principal import Key, Principal
from drydock_gateway.sigv4 import (
    TIMESTAMP,
    Claim,
    WireRequest,
    canonical_request,
    sign,
    signing_key,
    string_to_sign,
)

# How far a request's clock may be off. S3 and EC2 say 15 minutes («RequestTimeTooSkewed», «RequestExpired»), the
# others answer «Signature expired: … is now earlier than … (… - 5 min.)».
SKEW_LIMITS = {"s3": timedelta(minutes=15), "ec2": timedelta(minutes=15)}
DEFAULT_SKEW_LIMIT = timedelta(minutes=5)
PRESIGNED_DEFAULT = timedelta(minutes=5)  # of services other than S3, when X-Amz-Expires is not given


class Authenticator:
    """`find_key` answers the key of an id, or None when there is none of that id."""

    def __init__(
        self, find_key: Callable[[str], Key | None], clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._find_key = find_key
        self._clock = clock

    def authenticate(self, request: WireRequest, claim: Claim, body: BinaryIO) -> Principal:
        """The caller, once key, token, time, signature and body have been checked. Raises Refused.

        `body` has to be seekable, and is left at its start.
        """
        now = self._clock()
        key = self._find_key(claim.access_key_id)
        if key is None:
            raise Refused(Reason.UNKNOWN_KEY, access_key_id=claim.access_key_id)
        _check_token(key, claim)
        _check_time(claim, now)
        _check_signed_headers(request, claim)
        payload_hash = declared_hash(request, claim, body)
        derived = signing_key(key.secret_access_key, claim.scope)
        canonical = canonical_request(request, claim, payload_hash)
        to_sign = string_to_sign(claim, canonical)
        if not hmac.compare_digest(sign(derived, to_sign).encode(), claim.signature.encode("utf-8", "surrogateescape")):
            raise Refused(
                Reason.WRONG_SIGNATURE,
                access_key_id=claim.access_key_id,
                provided=claim.signature,
                string_to_sign=to_sign,
                canonical_request=canonical,
            )
        if key.expires_at is not None and key.expires_at <= now:
            raise Refused(Reason.EXPIRED_TOKEN)
        check_payload(payload_hash, claim, derived, body)
        return key.principal


def _check_token(key: Key, claim: Claim) -> None:
    if key.token is not None and claim.token is None:
        # AWS does not know a session's key without its token.
        raise Refused(Reason.UNKNOWN_KEY, access_key_id=claim.access_key_id)
    expected, given = (key.token or "").encode(), (claim.token or "").encode("utf-8", "surrogateescape")
    if not hmac.compare_digest(expected, given):
        raise Refused(Reason.WRONG_TOKEN)


def _check_time(claim: Claim, now: datetime) -> None:
    if claim.scope.date != claim.timestamp.strftime("%Y%m%d"):
        raise Refused(
            Reason.WRONG_SCOPE,
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{claim.scope.date}' != '{claim.timestamp:%Y%m%d}', from '{claim.timestamp.strftime(TIMESTAMP)}'.",
        )
    limit = SKEW_LIMITS.get(claim.scope.service, DEFAULT_SKEW_LIMIT)
    times: dict[str, Any] = {
        "timestamp": claim.timestamp,
        "now": now,
        "limit": limit,
        "expires_seconds": claim.expires_seconds,
    }
    if not claim.in_query:
        if abs(now - claim.timestamp) > limit:
            raise Refused(Reason.SKEWED, **times)
        return
    if claim.timestamp - now > limit:
        raise Refused(Reason.URL_NOT_YET_VALID, **times)
    lifetime = PRESIGNED_DEFAULT if claim.expires_seconds is None else timedelta(seconds=claim.expires_seconds)
    if now > claim.timestamp + lifetime:
        raise Refused(Reason.EXPIRED_URL, **times)


def _check_signed_headers(request: WireRequest, claim: Claim) -> None:
    """`host` and every x-amz-* header have to be signed, or whoever carries the request could exchange them.

    A presigned URL may be sent with a payload hash its signer did not know of.
    """
    names = {name for name, _ in request.headers if name.startswith("x-amz-")} | {"host"}
    if claim.in_query:
        names.discard("x-amz-content-sha256")
    missing = sorted(names.difference(claim.signed_headers))
    if missing:
        raise Refused(Reason.UNSIGNED_HEADERS, headers=missing)
