"""The gateway, as the control plane knows it: who sends it callers' requests, and who grants service sessions.

Both sides prove themselves with JSON Web Tokens signed with the install's gateway secret (HS256), valid for thirty
seconds and for one body; the gateway's for one operation as well.
"""

import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import jwt

from drydock_emr.errors import AccessDenied, ServiceUnavailable

_TOKEN_SECONDS = 30
_REGION = r"[a-z0-9-]{1,32}"  # the caller's word, and part of what is kept; the database has room for so much
_REQUIRED_CLAIMS = ["exp", "iat", "sub", "account", "region", "target", "body_sha256"]


@dataclass(frozen=True)
class Caller:
    """Who sends a request, as the gateway found out: the principal's ARN, its account, the region it signed for."""

    arn: str
    account_id: str
    region: str


class RoleRefused(Exception):
    """The role or instance profile does not exist, does not let the service assume it, or is no name of one.

    `code` is IAM's: NoSuchEntity, AccessDenied or ValidationError.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Passage:
    """Leave to send one request: what a token of the gateway's says."""

    caller: Caller
    body_sha256: str

    def check_body(self, body: bytes) -> None:
        """Raises AccessDenied when the token was made for another body."""
        if not hmac.compare_digest(self.body_sha256.encode(), hashlib.sha256(body).hexdigest().encode()):
            raise AccessDenied("The gateway's token was made for another request.")


def verify_token(authorization: str | None, target: str, secret: str) -> Passage:
    """For whom the gateway passes on a request with this X-Amz-Target, and which; before its body is read.

    Raises AccessDenied when the token does not prove it.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme != "Bearer":
        raise AccessDenied("This endpoint takes requests from the gateway only: send them to AWS_ENDPOINT_URL.")
    try:
        claims = jwt.decode(
            token, secret, ["HS256"], audience="emr", issuer="gateway", options={"require": _REQUIRED_CLAIMS}
        )
    except (
        jwt.InvalidTokenError,
        RecursionError,
    ) as error:  # the latter: a token's header is read before it is checked
        raise AccessDenied(f"The gateway's token is not valid: {error}.") from error
    if claims["target"] != target:
        raise AccessDenied("The gateway's token was made for another operation.")
    if not re.fullmatch(_REGION, str(claims["region"])):
        raise AccessDenied("Credential should be scoped to a valid region.")
    return Passage(Caller(claims["sub"], claims["account"], claims["region"]), claims["body_sha256"])


class Gateway:
    """Asks the gateway for sessions of roles that trust an AWS service, as EMR and EC2 do on AWS."""

    def __init__(self, url: str, secret: str) -> None:
        self._secret = secret
        # A connection for each request: one that is kept may be closed by the gateway just when the next request is on
        # it, and nothing tells that from a request which has been carried out.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.AsyncClient(base_url=url, timeout=10, trust_env=False, limits=limits)

    async def service_session(
        self,
        service: Literal["ec2.amazonaws.com", "elasticmapreduce.amazonaws.com"],
        *,
        account_id: str,
        region: str,
        session_name: str,
        role: str | None = None,
        instance_profile: str | None = None,
        duration_seconds: int = 3600,
    ) -> dict[str, Any]:
        """Credentials of `role`, or of the role in `instance_profile`, for the service.

        In the format of AWS's container credentials endpoint. Raises RoleRefused; ServiceUnavailable when the
        gateway cannot be reached.
        """
        request = self._client.build_request(
            "POST",
            "/_drydock/service-sessions",
            json={
                "service": service,
                "account_id": account_id,
                "region": region,
                "session_name": session_name,
                "duration_seconds": duration_seconds,
                **({"role": role} if role else {"instance_profile": instance_profile}),
            },
        )
        now = int(time.time())
        claims = {
            "iss": "emr",
            "aud": "gateway",
            "iat": now,
            "exp": now + _TOKEN_SECONDS,
            "body_sha256": hashlib.sha256(request.content).hexdigest(),
        }
        request.headers["Authorization"] = f"Bearer {jwt.encode(claims, self._secret, 'HS256')}"
        try:
            response = await self._client.send(request)
        except httpx.HTTPError as error:
            why = str(error).rstrip(".") or type(error).__name__  # a time-out has no words of its own
            raise ServiceUnavailable(f"The gateway cannot be reached: {why}.") from error
        if response.status_code in {400, 403, 404}:
            answer = response.json()
            raise RoleRefused(answer["error"], answer["message"])
        if response.status_code != 200:
            raise ServiceUnavailable(f"The gateway answered {response.status_code} to a request for a service session.")
        session: dict[str, Any] = response.json()
        return session

    async def close(self) -> None:
        await self._client.aclose()
