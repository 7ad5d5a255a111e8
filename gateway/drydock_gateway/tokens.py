"""How gateway and control plane prove themselves to each other: a JSON Web Token for each request.

HS256 with the installation's gateway secret, valid for half a minute, bound to the operation and to the body by its
hash, so that a token that leaks lets nobody ask for anything else.
"""

import hashlib
import hmac
import time

import jwt

from drydock_gateway.principal import Principal

LIFETIME_SECONDS = 30


class TokenError(Exception):
    """The request does not carry the control plane's token; the message says what is wrong with it."""


def for_emr(secret: str, principal: Principal, region: str, target: str, body: bytes) -> str:
    """The token under which the gateway passes a caller's EMR request on. `target`: its X-Amz-Target, "" for none."""
    now = int(time.time())
    claims = {
        "iss": "gateway",
        "aud": "emr",
        "sub": principal.arn,
        "account": principal.account_id,
        "region": region,
        "target": target,
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
        "body_sha256": hashlib.sha256(body).hexdigest(),
    }
    return jwt.encode(claims, secret, algorithm="HS256")


def check_from_emr(secret: str, authorization: str | None, body: bytes) -> None:
    """Raise TokenError unless `authorization` is a token of the control plane, for this body."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme != "Bearer" or not token:
        raise TokenError("the request has no bearer token")
    try:
        claims = jwt.decode(
            token,
            secret,
            algorithms=["HS256"],
            issuer="emr",
            audience="gateway",
            options={"require": ["iss", "aud", "iat", "exp", "body_sha256"]},
        )
    except jwt.InvalidTokenError as error:
        raise TokenError(f"the bearer token is not valid: {error}") from error
    if claims["exp"] - claims["iat"] > LIFETIME_SECONDS:
        raise TokenError(f"the bearer token is valid for more than {LIFETIME_SECONDS} seconds")
    if not hmac.compare_digest(str(claims["body_sha256"]), hashlib.sha256(body).hexdigest()):
        raise TokenError("the bearer token was made for another body")
