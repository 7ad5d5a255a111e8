"""The wire: awsJson1.1 requests in, answers or EMR's errors out. Nothing that is sent here ends in a 500 or a traceback
without being logged with its request id."""

import json
import logging
import uuid
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from drydock_emr.api import shapes
from drydock_emr.api.operations import BUILT
from drydock_emr.api.operations.service import Service
from drydock_emr.errors import (
    EmrError,
    InvalidRequest,
    NotBuilt,
    RequestTooLarge,
    SerializationError,
    UnknownOperation,
)
from drydock_emr.gateway import verify_token

TARGET_PREFIX = "ElasticMapReduce."
MAX_REQUEST_BYTES = 4 << 20
"""AWS documents no limit; this holds 256 steps of the largest size. The gateway has the same number."""

log = logging.getLogger(__name__)


class Endpoint:
    """Answers `POST /`, as the gateway passes it on."""

    def __init__(self, service: Service, gateway_secret: str) -> None:
        self._service = service
        self._gateway_secret = gateway_secret

    async def answer(self, request: Request) -> Response:
        request_id = str(uuid.uuid4())
        try:
            output = await self._perform(request)
        except EmrError as error:
            return _response(error.status, _error_document(error), request_id, {"x-amzn-ErrorType": error.code})
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        except Exception:
            log.exception("Request %s failed", request_id)
            code = _internal_error(request.headers.get("x-amz-target", ""))
            document = {"__type": code, "message": f"An internal error occurred: request {request_id}."}
            return _response(500, document, request_id, {"x-amzn-ErrorType": code})
        return _response(200, output, request_id)

    async def _perform(self, request: Request) -> dict[str, Any]:
        target = request.headers.get("x-amz-target", "")
        passage = verify_token(request.headers.get("authorization"), target, self._gateway_secret)
        body = await _read(request)
        passage.check_body(body)
        name = target.removeprefix(TARGET_PREFIX)
        if not target.startswith(TARGET_PREFIX) or name not in shapes.service_model().operation_names:
            raise UnknownOperation(repr(name))
        perform = BUILT.get(name)
        if perform is None:
            raise NotBuilt(name)
        operation = shapes.service_model().operation_model(name)
        output = await perform(self._service, passage.caller, shapes.parse(operation, _decode(body)))
        log.info("%s by %s", name, passage.caller.arn)
        return shapes.render(operation, output)


def _internal_error(target: str) -> str:
    """The name of it: the model has InternalServerError for some operations, InternalServerException for others."""
    name = target.removeprefix(TARGET_PREFIX)
    if name not in shapes.service_model().operation_names:
        return "InternalServerError"
    errors = (shape.name for shape in shapes.service_model().operation_model(name).error_shapes)
    return next((error for error in errors if error.startswith("InternalServer")), "InternalServerError")


async def _read(request: Request) -> bytes:
    """The body, of which no more is kept than may be taken. Raises RequestTooLarge."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_REQUEST_BYTES:
            raise RequestTooLarge(f"The request is larger than {MAX_REQUEST_BYTES} bytes, which is all that is taken.")
    return bytes(body)


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body.decode() or "{}", parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise SerializationError(f"The request's body is not JSON: {error}.") from error


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _error_document(error: EmrError) -> dict[str, Any]:
    if isinstance(error, InvalidRequest):
        return {"__type": error.code, "ErrorCode": error.error_code, "Message": error.message}
    return {"__type": error.code, "message": error.message}


def _response(
    status: int, document: dict[str, Any], request_id: str, headers: dict[str, str] | None = None
) -> Response:
    return Response(
        json.dumps(document),
        status,
        {"x-amzn-RequestId": request_id, **(headers or {})},
        media_type="application/x-amz-json-1.1",
    )
