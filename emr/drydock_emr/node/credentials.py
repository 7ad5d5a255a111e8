"""The instance profile's credentials: fetched from the control plane, cached, and served to what the node runs.

Served as AWS's container-credentials endpoint serves them (`AWS_CONTAINER_CREDENTIALS_FULL_URI`), on loopback, to
whoever shows the tenancy's token in `Authorization`; the format is that of "Container credential provider" in AWS's
SDK reference.
"""

import hmac
import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from drydock_emr.node.config import LOOPBACK
from drydock_emr.node.errors import ConfigurationError, CredentialsUnavailable, NodeError

RENEW_BELOW_SHARE = 0.25
"""Renewed when less than this share of their life is left: with an hour's life, before botocore begins to ask for new
ones (15 minutes)."""

RENEW_BELOW_SECONDS = 60.0

log = logging.getLogger(__name__)

Document = dict[str, Any]


class CredentialsCache:
    """One tenancy's credentials. `fetch` asks the control plane and raises NodeError. Safe to use from any thread."""

    def __init__(self, fetch: Callable[[], Document], clock: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._document: Document | None = None
        self._fetched_at = 0.0
        self._expires_at = 0.0

    def get(self) -> Document:
        """Credentials with life left in them. Raises CredentialsUnavailable."""
        with self._lock:
            if self._document is None or self._should_renew():
                self._renew()
            assert self._document is not None
            return self._document

    def _should_renew(self) -> bool:
        life = self._expires_at - self._fetched_at
        return self._expires_at - self._clock() < max(RENEW_BELOW_SECONDS, life * RENEW_BELOW_SHARE)

    def _renew(self) -> None:
        try:
            document = self._fetch()
            expires_at = datetime.fromisoformat(document["Expiration"]).timestamp()
        except (NodeError, KeyError, ValueError) as error:
            if self._document is None or self._expires_at <= self._clock():
                raise CredentialsUnavailable(f"The instance profile has no credentials for now: {error}") from error
            log.warning("Credentials could not be renewed, the present ones still serve: %s", error)
            return
        self._document, self._fetched_at, self._expires_at = document, self._clock(), expires_at


class CredentialsEndpoint:
    """Serves whichever tenancy is current. `serve` and `withdraw` switch it; in between, nobody gets anything."""

    def __init__(self, port: int) -> None:
        """Raises ConfigurationError when the port is taken."""
        self._current: tuple[str, CredentialsCache] | None = None
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, document = endpoint.answer(self.path, self.headers.get("Authorization", ""))
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                log.debug(format, *args)

        try:
            self._server = ThreadingHTTPServer((LOOPBACK, port), Handler)
        except OSError as error:
            raise ConfigurationError(
                f"Port {port} of {LOOPBACK} (NODE_CREDENTIALS_PORT) cannot be used: {error.strerror}. "
                f"`ss -ltnp 'sport = :{port}'` shows who holds it."
            ) from error
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="credentials", daemon=True)
        self._thread.start()

    def serve(self, token: str, cache: CredentialsCache) -> None:
        self._current = (token, cache)

    def withdraw(self) -> None:
        self._current = None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, authorization: str) -> tuple[HTTPStatus, Document]:
        """Status and body for a request; errors have `code` and `message`, as AWS's agents answer them."""
        current = self._current
        if path != "/v1/credentials":
            return HTTPStatus.NOT_FOUND, {"code": "NotFound", "message": "Only /v1/credentials is served here."}
        if current is None or not hmac.compare_digest(authorization.encode(), current[0].encode()):
            return HTTPStatus.UNAUTHORIZED, {"code": "Unauthorized", "message": "The authorization token is wrong."}
        try:
            return HTTPStatus.OK, current[1].get()
        except CredentialsUnavailable as error:
            return HTTPStatus.SERVICE_UNAVAILABLE, {"code": "CredentialsUnavailable", "message": str(error)}
