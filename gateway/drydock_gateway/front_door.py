"""The first handler of every request. What it does not let in explicitly, LocalStack never sees.

1. Host and Origin have to be ours. A web page the user visits can make his browser send requests to loopback, under a
   name of its own (DNS rebinding) or from its own origin; neither gets further.
2. Internal paths: LocalStack's health and info may be read by anybody, service sessions are for the control plane, the
   orchestrator's credentials for its host, all others are closed.
3. Every other request is authenticated. From here on `context.principal` says who asks; that is what authorisation
   has to start from, in `handlers.serve_custom_service_request_handlers`, where requests are parsed as well.
4. EMR's requests go to the control plane.
"""

import json
import logging
import time
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from localstack.aws.api import RequestContext
from localstack.aws.chain import HandlerChain
from localstack.http import Response

from drydock_gateway import emr, orchestrator_credentials, refusals, service_sessions
from drydock_gateway.authentication import Authenticator
from drydock_gateway.errors import Reason, Refused
from drydock_gateway.refusals import Answer
from drydock_gateway.sigv4 import Claim, WireRequest, read_claim

OPEN_PATHS = ("/_localstack/health", "/_localstack/info")  # for GET and HEAD
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

# Headers by which LocalStack's parts talk to each other, believed as they come. No client has any business with them.
INTERNAL_HEADERS = ("x-localstack-", "x-moto-")

LOG = logging.getLogger(__name__)


class FrontDoor:
    """A handler for the front of LocalStack's chain.

    `own_hosts` are the names under which the gateway may be called; `port` is where it listens.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        control_plane: emr.ControlPlane,
        sessions: service_sessions.ServiceSessions,
        orchestrator: orchestrator_credentials.OrchestratorCredentials,
        own_hosts: frozenset[str],
        port: int,
    ) -> None:
        self._authenticator = authenticator
        self._control_plane = control_plane
        self._sessions = sessions
        self._orchestrator = orchestrator
        self._own_hosts = LOOPBACK_NAMES | own_hosts
        self._port = port

    def __call__(self, chain: HandlerChain, context: RequestContext, response: Response) -> None:
        started = time.monotonic()
        answer = self._handle(context)
        if answer is None:
            return
        response.status_code = answer.status
        response.headers.clear()
        response.headers.update(answer.headers)
        response.data = answer.body
        _log(context, answer, time.monotonic() - started)
        chain.terminate()  # LocalStack's response handlers are for LocalStack's responses

    def _handle(self, context: RequestContext) -> Answer | None:
        """The answer, or None for LocalStack to give it."""
        if context.request.shallow:
            return _sentence(403, "No service here speaks WebSocket.")
        request = wire_request(context)
        objection = self._objection(request)
        if objection:
            return objection
        path = "/" + unquote(request.path).lstrip("/")
        if path.startswith("/_"):
            return self._internal(path, request, context)
        try:
            return self._authenticated(request, context)
        except Refused as refused:
            context.request.environ["wsgi.input"].seek(0)
            return refusals.answer(refused, context)

    def _objection(self, request: WireRequest) -> Answer | None:
        if not request.path.startswith("/"):
            return _sentence(400, f"The request's target has to be a path, not {request.path!r}.")
        hosts = [value.strip() for name, value in request.headers if name == "host"]
        if len(hosts) != 1 or _host_name(f"http://{hosts[0]}") not in self._own_hosts:
            return _sentence(
                403,
                f"The gateway is not called {' and '.join(hosts) or 'nothing'}. Call it by one of "
                f"{', '.join(sorted(self._own_hosts))}, or add the name to DRYDOCK_GATEWAY_HOSTS.",
            )
        for origin in (value.strip() for name, value in request.headers if name == "origin"):
            if not self._is_own_origin(origin):
                return _sentence(403, f"Web pages of {origin} may not use the gateway.")
        return None

    def _is_own_origin(self, origin: str) -> bool:
        try:
            return _host_name(origin) in self._own_hosts and urlsplit(origin).port == self._port
        except ValueError:
            return False

    def _internal(self, path: str, request: WireRequest, context: RequestContext) -> Answer | None:
        if path in OPEN_PATHS and request.path == path and request.method in ("GET", "HEAD"):
            return None
        if path == service_sessions.PATH and request.method == "POST":
            body = _body(context).read()
            return _document(*self._sessions.respond(request.header("authorization"), body))
        if path == orchestrator_credentials.PATH and request.method == "GET":
            return _document(*self._orchestrator.respond(request.header("authorization")))
        return _sentence(
            403,
            f"{request.method} {path} is closed: of the gateway's internal paths only "
            f"{' and '.join(OPEN_PATHS)} are open, for reading.",
        )

    def _authenticated(self, request: WireRequest, context: RequestContext) -> Answer | None:
        """Raises Refused."""
        body = _body(context)
        claim = read_claim(request)
        target = request.header("x-amz-target")
        is_emr = emr.is_emr(claim.scope.service, target)
        if is_emr and claim.scope.service != emr.SIGNING_NAME:
            raise Refused(Reason.WRONG_SCOPE, f"Credential should be scoped to correct service: '{emr.SIGNING_NAME}'. ")
        context.principal = self._authenticator.authenticate(request, claim, body)
        if not is_emr:
            _tell_localstack(context, claim)
            return None
        headers = {"Content-Type": request.header("content-type"), "X-Amz-Target": target}
        present = {name: value for name, value in headers.items() if value is not None}
        return self._control_plane.forward(context.principal, claim.scope.region, present, body)


def wire_request(context: RequestContext) -> WireRequest:
    """The request as it came, before anybody has decoded, parsed or added to it."""
    environ = context.request.environ
    path, _, query = environ["RAW_URI"].partition("?")
    headers = tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in environ["rolo.headers"]
    )
    return WireRequest(context.request.method, path, query, headers)


def _body(context: RequestContext) -> BinaryIO:
    """The body, which Twisted has received in full: in memory when small, else in a temporary file.

    Twisted hands it on in a wrapper that cannot go back to the start; who comes after us gets the file itself.
    """
    stream: Any = context.request.environ["wsgi.input"]
    body: BinaryIO = getattr(stream, "_wrapped", stream)
    context.request.environ["wsgi.input"] = body
    return body


def _tell_localstack(context: RequestContext, claim: Claim) -> None:
    """LocalStack takes service, account and region from the Authorization header, which a presigned URL has none of.

    For a request without one it would make up a key of its own (`injectedaccesskey`).
    """
    headers = context.request.headers
    for name in [name for name, _ in headers if name.lower().startswith(INTERNAL_HEADERS)]:
        headers.remove(name)
    if claim.in_query:
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={claim.access_key_id}/{claim.scope}, "
            f"SignedHeaders={';'.join(claim.signed_headers)}, Signature={claim.signature}"
        )


def _host_name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _document(status: int, document: dict[str, str]) -> Answer:
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return Answer(status, headers, json.dumps(document).encode(), document.get("error", ""))


def _sentence(status: int, sentence: str) -> Answer:
    return Answer(status, {"Content-Type": "text/plain; charset=utf-8"}, f"{sentence}\n".encode(), sentence)


def _log(context: RequestContext, answer: Answer, seconds: float) -> None:
    """One line, in the style of LocalStack's own."""
    principal = context.get("principal")
    path = context.request.environ["RAW_URI"].partition("?")[0]  # still encoded: no line end gets into the log
    what = context.request.headers.get("X-Amz-Target") or f"{context.request.method} {path}"
    LOG.info(
        "%s => %d%s%s, %d ms",
        what,
        answer.status,
        f" ({answer.code})" if answer.code else "",
        f", {principal.arn}" if principal else "",
        seconds * 1000,
    )
