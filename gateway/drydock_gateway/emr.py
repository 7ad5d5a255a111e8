"""EMR's place in the gateway: an authenticated request goes on, byte for byte, to the control plane.

LocalStack does not parse it: its botocore knows fewer operations than today's, and answers 500 to what it does not
know. The control plane learns who asks from a token (see `tokens`), never from headers of the request.
"""

import json
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import BinaryIO

import httpx

from drydock_gateway.principal import Principal
from drydock_gateway.refusals import Answer
from drydock_gateway.tokens import for_emr

SIGNING_NAME = "elasticmapreduce"
TARGET_PREFIX = "ElasticMapReduce."

CONNECT_SECONDS = 2  # the control plane is on this machine or the next container
ANSWER_SECONDS = 30  # it answers at once; what takes long in EMR is polled for
MAX_REQUEST_BYTES = 4 << 20  # what the control plane takes; AWS documents no limit of EMR's


def is_emr(service: str | None, target: str | None) -> bool:
    """Whether a request with this signing name and X-Amz-Target is EMR's."""
    return service == SIGNING_NAME or (target or "").startswith(TARGET_PREFIX)


class ControlPlane:
    """The server behind EMR. Safe to use from many threads."""

    def __init__(self, url: str, gateway_secret: str) -> None:
        self._secret = gateway_secret
        self._client = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=4),
            trust_env=False,  # a proxy of the user's has no business between the two
            headers={"User-Agent": "drydock-gateway", "Accept-Encoding": "identity"},
            # Kept cookies would make one caller's answer part of the next one's request.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    def forward(self, principal: Principal, region: str, headers: dict[str, str], body: BinaryIO) -> Answer:
        """Pass a request on. `headers`: its Content-Type and X-Amz-Target, as far as it has them."""
        content = body.read(MAX_REQUEST_BYTES + 1)
        if len(content) > MAX_REQUEST_BYTES:
            message = f"The request is larger than {MAX_REQUEST_BYTES} bytes, which is all that is taken."
            return _error(413, "RequestEntityTooLargeException", message)
        token = for_emr(self._secret, principal, region, headers.get("X-Amz-Target", ""), content)
        try:
            response = self._client.post("/", content=content, headers={**headers, "Authorization": f"Bearer {token}"})
        except httpx.ConnectError:
            return _unavailable("the EMR control plane cannot be reached")
        except httpx.TimeoutException:
            return _unavailable(f"the EMR control plane has not answered within {ANSWER_SECONDS} seconds")
        except httpx.TransportError as error:
            return _unavailable(f"the connection to the EMR control plane broke ({type(error).__name__})")
        passed_on = {
            name: value
            for name, value in response.headers.items()
            if name == "content-type" or name.startswith("x-amzn-")
        }
        return Answer(response.status_code, passed_on, response.content, response.headers.get("x-amzn-errortype", ""))

    def close(self) -> None:
        self._client.close()


def _unavailable(why: str) -> Answer:
    return _error(503, "ServiceUnavailableException", f"Service is temporarily unavailable: {why}.")


def _error(status: int, code: str, message: str) -> Answer:
    body = json.dumps({"__type": code, "message": message}).encode()
    return Answer(status, {"Content-Type": "application/x-amz-json-1.1", "x-amzn-ErrorType": code}, body, code)
