"""The credentials of kestra-role for programs of this machine: AWS's container credentials, on loopback.

The driver must not have the operator's key, and its sessions end after an hour: so it asks here, as a container asks
its agent (botocore's ContainerProvider), with a token that is made for the occasion. Sessions are taken by whoever
started this, and renewed as long as it runs.
"""

import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from drydock import aws, settings
from drydock.secrets import FILE_MODE

SESSION_NAME = "drydock-driver"
PATH = "/credentials"
SEEN_LATE_SECONDS = 30.0
POLL_SECONDS = 2.0
RENEWED_BEFORE = timedelta(minutes=20)  # an SDK asks again a quarter of an hour before the end


@dataclass(frozen=True)
class Served:
    """Where the credentials are: what AWS's SDKs are told by two variables."""

    uri: str
    token_file: Path

    def environment(self) -> dict[str, str]:
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.uri,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(self.token_file),
        }


@contextmanager
def served(account: aws.Account, role_arn: str, folder: Path) -> Iterator[Served]:
    """Serve the role's credentials for as long as the context lasts. Raises ServiceFailed when the role is refused."""
    sessions = _Sessions(account.client("sts"), role_arn)
    with account.explained(f"let the caller act as {role_arn}"):
        sessions.begin()
    with TemporaryDirectory(prefix="credentials-", dir=folder) as private:
        token_file = Path(private) / "token"
        token_file.touch(mode=FILE_MODE)
        token_file.write_text(secrets.token_urlsafe(32))
        server = _Server(sessions, token_file.read_text())
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Served(f"http://{settings.LOOPBACK}:{server.server_port}{PATH}", token_file)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Sessions:
    """Sessions of the role, one after the other."""

    def __init__(self, sts: Any, role_arn: str) -> None:
        self._sts, self._role_arn = sts, role_arn
        self._lock = threading.Lock()
        self._credentials: dict[str, Any] | None = None

    def begin(self) -> None:
        """Take the first one. IAM tells late of a role, or of whom it trusts, that has just been made or changed: a
        refusal counts when it stays one. botocore's exceptions are let through."""
        deadline = time.monotonic() + SEEN_LATE_SECONDS
        while True:
            try:
                self.current()
            except ClientError as error:
                if error.response["Error"]["Code"] != "AccessDenied" or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)
            else:
                return

    def current(self) -> dict[str, str]:
        """As containers are answered. botocore's exceptions are let through."""
        with self._lock:
            found = self._credentials
            if found is None or found["Expiration"] - datetime.now(UTC) < RENEWED_BEFORE:
                answer = self._sts.assume_role(RoleArn=self._role_arn, RoleSessionName=SESSION_NAME)
                found = self._credentials = answer["Credentials"]
        return {
            "AccessKeyId": found["AccessKeyId"],
            "SecretAccessKey": found["SecretAccessKey"],
            "Token": found["SessionToken"],
            "Expiration": found["Expiration"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, sessions: _Sessions, token: str) -> None:
        super().__init__((settings.LOOPBACK, 0), _Handler)
        self.sessions, self.token = sessions, token


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        host = f"{settings.LOOPBACK}:{self.server.server_port}"
        given = self.headers.get("Authorization", "")
        # A page in a browser that has another name lead here could not say the token; it is not even told that.
        if self.headers.get("Host") != host or not hmac.compare_digest(given.encode(), self.server.token.encode()):
            self._answer(HTTPStatus.FORBIDDEN, {"message": "This is not for you."})
        elif self.path != PATH:
            self._answer(HTTPStatus.NOT_FOUND, {"message": f"There is only {PATH}."})
        else:
            try:
                self._answer(HTTPStatus.OK, self.server.sessions.current())
            except (BotoCoreError, ClientError) as error:
                self._answer(HTTPStatus.BAD_GATEWAY, {"message": str(error)})

    def _answer(self, status: HTTPStatus, document: dict[str, str]) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing: whoever is served says what goes wrong."""
