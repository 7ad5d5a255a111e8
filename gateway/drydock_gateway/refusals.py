"""A refusal, said as the called service says it: code, status and wire format.

Sources: S3 «Error responses»; IAM and STS «Common errors» (query protocol: InvalidClientTokenId and
SignatureDoesNotMatch, 403); EC2 «Error codes for the Amazon EC2 API» (AuthFailure, 401; RequestExpired); the services
that speak JSON, EMR among them, «Common error types» (UnrecognizedClientException and InvalidSignatureException, 400).
"""

import json
import re
import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree

from localstack.aws.api import RequestContext
from localstack.aws.protocol.service_router import determine_aws_service_model

from drydock_gateway.errors import Reason, Refused
from drydock_gateway.sigv4 import ALGORITHM, TIMESTAMP

ISO_8601 = "%Y-%m-%dT%H:%M:%SZ"
NOT_IN_XML = r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"


@dataclass(frozen=True)
class Refusal:
    """An error as a service puts it; `extra` are the elements S3 adds to some of its errors."""

    code: str
    status: int
    message: str
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    code: str


def answer(refused: Refused, context: RequestContext) -> Answer:
    """What to send to the caller of the service that `context.request` was meant for."""
    model = determine_aws_service_model(context.request)
    if model is None or model.service_name in ("s3", "s3control"):
        return _s3_answer(_of_s3(refused))  # what cannot be told apart is, on this endpoint, a bucket
    match model.protocol:
        case "ec2":
            return _ec2_answer(_of_ec2(refused))
        case "json":
            content_type = f"application/x-amz-json-{model.metadata.get('jsonVersion', '1.0')}"
            return _json_answer(_of_json_service(refused, status=400), content_type)
        case "rest-json" | "smithy-rpc-v2-cbor":
            return _json_answer(_of_json_service(refused, status=403), "application/json")
        case _:
            return _query_answer(_of_query_service(refused), model.metadata.get("xmlNamespace"))


def _of_s3(refused: Refused) -> Refusal:
    details = refused.details
    match refused.reason:
        case Reason.ANONYMOUS:
            return Refusal("AccessDenied", 403, "Access Denied")
        case Reason.MECHANISM:
            message = f"The authorization mechanism you have provided is not supported. Please use {ALGORITHM}."
            return Refusal("InvalidRequest", 400, message)
        case Reason.MALFORMED_HEADER | Reason.WRONG_SCOPE:
            message = f"The authorization header is malformed; {refused.message}"
            return Refusal("AuthorizationHeaderMalformed", 400, message)
        case Reason.NO_DATE:
            return Refusal("AccessDenied", 403, "AWS authentication requires a valid Date or x-amz-date header")
        case Reason.MALFORMED_QUERY:
            return Refusal("AuthorizationQueryParametersError", 400, refused.message)
        case Reason.TWO_MECHANISMS:
            message = (
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "
                "parameter or the Authorization header should be specified"
            )
            return Refusal("InvalidArgument", 400, message, {"ArgumentName": "Authorization"})
        case Reason.UNKNOWN_KEY:
            message = "The AWS Access Key Id you provided does not exist in our records."
            return Refusal("InvalidAccessKeyId", 403, message, {"AWSAccessKeyId": details["access_key_id"]})
        case Reason.WRONG_TOKEN:
            return Refusal("InvalidToken", 400, "The provided token is malformed or otherwise invalid.")
        case Reason.EXPIRED_TOKEN:
            return Refusal("ExpiredToken", 400, "The provided token has expired.")
        case Reason.SKEWED:
            message = "The difference between the request time and the current time is too large."
            extra = {
                "RequestTime": details["timestamp"].strftime(TIMESTAMP),
                "ServerTime": details["now"].strftime(ISO_8601),
                "MaxAllowedSkewMilliseconds": str(details["limit"] // timedelta(milliseconds=1)),
            }
            return Refusal("RequestTimeTooSkewed", 403, message, extra)
        case Reason.EXPIRED_URL:
            expires = details["timestamp"] + timedelta(seconds=details["expires_seconds"])
            extra = {
                "X-Amz-Expires": str(details["expires_seconds"]),
                "Expires": expires.strftime(ISO_8601),
                "ServerTime": details["now"].strftime(ISO_8601),
            }
            return Refusal("AccessDenied", 403, "Request has expired", extra)
        case Reason.URL_NOT_YET_VALID:
            return Refusal("AccessDenied", 403, "Request is not valid yet")
        case Reason.UNSIGNED_HEADERS:
            message = "There were headers present in the request which were not signed"
            return Refusal("AccessDenied", 403, message, {"HeadersNotSigned": ", ".join(details["headers"])})
        case Reason.WRONG_SIGNATURE:
            message = (
                "The request signature we calculated does not match the signature you provided. "
                "Check your key and signing method."
            )
            return Refusal("SignatureDoesNotMatch", 403, message, _what_was_signed(details))
        case Reason.NO_PAYLOAD_HASH:
            return Refusal("InvalidRequest", 400, "Missing required header for this request: x-amz-content-sha256")
        case Reason.BAD_PAYLOAD_HASH:
            message = (
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 "
                "value."
            )
            extra = {"ArgumentName": "x-amz-content-sha256", "ArgumentValue": details["declared"]}
            return Refusal("InvalidArgument", 400, message, extra)
        case Reason.WRONG_PAYLOAD:
            message = "The provided 'x-amz-content-sha256' header does not match what was computed."
            extra = {
                "ClientComputedContentSHA256": details["declared"],
                "S3ComputedContentSHA256": details["computed"],
            }
            return Refusal("XAmzContentSHA256Mismatch", 400, message, extra)
        case Reason.BROKEN_CHUNKS:
            return Refusal("IncompleteBody", 400, "The request body terminated unexpectedly")


def _what_was_signed(details: dict[str, Any]) -> dict[str, str]:
    """What lets a developer compare his canonical request with ours."""
    extra = {"SignatureProvided": details["provided"]}
    if "string_to_sign" in details:  # not known of a chunk
        extra["AWSAccessKeyId"] = details["access_key_id"]
        extra["StringToSign"] = details["string_to_sign"]
        extra["StringToSignBytes"] = details["string_to_sign"].encode("latin-1").hex(" ")
        extra["CanonicalRequest"] = details["canonical_request"]
        extra["CanonicalRequestBytes"] = details["canonical_request"].encode("latin-1").hex(" ")
    return extra


def _of_query_service(refused: Refused) -> Refusal:
    match refused.reason:
        case Reason.ANONYMOUS:
            return Refusal("MissingAuthenticationToken", 403, "Request is missing Authentication Token")
        case Reason.UNKNOWN_KEY | Reason.WRONG_TOKEN:
            return Refusal("InvalidClientTokenId", 403, "The security token included in the request is invalid.")
        case Reason.EXPIRED_TOKEN:
            return Refusal("ExpiredToken", 403, "The security token included in the request is expired")
        case Reason.MECHANISM:
            message = f"Unsupported AWS 'algorithm': '{refused.details['algorithm']}'."
            return Refusal("IncompleteSignature", 400, message)
        case Reason.NO_DATE:
            message = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
            return Refusal("IncompleteSignature", 400, message)
        case Reason.MALFORMED_HEADER | Reason.MALFORMED_QUERY:
            return Refusal("IncompleteSignature", 400, refused.message)
        case Reason.TWO_MECHANISMS:
            message = "Only one auth mechanism allowed: query parameters or the Authorization header."
            return Refusal("IncompleteSignature", 400, message)
        case Reason.SKEWED | Reason.EXPIRED_URL | Reason.URL_NOT_YET_VALID:
            return Refusal("SignatureDoesNotMatch", 403, _skew_message(refused.details))
        case Reason.UNSIGNED_HEADERS:
            names = ", ".join(f"'{name}'" for name in refused.details["headers"])
            message = f"{names} must be a 'SignedHeader' in the AWS Authorization."
            return Refusal("SignatureDoesNotMatch", 403, message)
        case Reason.WRONG_SCOPE:
            return Refusal("SignatureDoesNotMatch", 403, refused.message)
        case _:
            message = (
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
                "Access Key and signing method. Consult the service documentation for details."
            )
            return Refusal("SignatureDoesNotMatch", 403, message)


def _of_json_service(refused: Refused, status: int) -> Refusal:
    """The same reasons as of a query service, under the JSON protocols' names."""
    names = {
        "InvalidClientTokenId": "UnrecognizedClientException",
        "SignatureDoesNotMatch": "InvalidSignatureException",
    }
    refusal = _of_query_service(refused)
    return Refusal(names.get(refusal.code, f"{refusal.code}Exception"), status, refusal.message)


def _of_ec2(refused: Refused) -> Refusal:
    match refused.reason:
        case Reason.ANONYMOUS:
            return Refusal("MissingParameter", 400, "The request must contain the parameter AWSAccessKeyId")
        case Reason.EXPIRED_TOKEN | Reason.SKEWED | Reason.EXPIRED_URL | Reason.URL_NOT_YET_VALID:
            return Refusal("RequestExpired", 400, "Request has expired.")
        case _:
            message = "AWS was not able to validate the provided access credentials"
            return Refusal("AuthFailure", 401, message)


def _skew_message(details: dict[str, Any]) -> str:
    timestamp, now, limit = details["timestamp"], details["now"], details["limit"]
    minutes = limit // timedelta(minutes=1)
    if timestamp > now:
        bound = (now + limit).strftime(TIMESTAMP)
        return (
            f"Signature not yet current: {timestamp.strftime(TIMESTAMP)} is still later than {bound} "
            f"({now.strftime(TIMESTAMP)} + {minutes} min.)"
        )
    bound = (now - limit).strftime(TIMESTAMP)
    return (
        f"Signature expired: {timestamp.strftime(TIMESTAMP)} is now earlier than {bound} "
        f"({now.strftime(TIMESTAMP)} - {minutes} min.)"
    )


def _s3_answer(refusal: Refusal) -> Answer:
    """S3's errors have no namespace, and some have more elements than a code and a message."""
    request_id, host_id = secrets.token_hex(8).upper(), secrets.token_urlsafe(56)
    fields = {"Code": refusal.code, "Message": refusal.message, **refusal.extra}
    root = _element("Error", {**fields, "RequestId": request_id, "HostId": host_id})
    return _xml_answer(refusal, root, "application/xml", {"x-amz-request-id": request_id, "x-amz-id-2": host_id})


def _query_answer(refusal: Refusal, namespace: str | None) -> Answer:
    request_id = str(uuid4())
    root = ElementTree.Element("ErrorResponse", {"xmlns": namespace} if namespace else {})
    root.append(_element("Error", {"Type": "Sender", "Code": refusal.code, "Message": refusal.message}))
    root.append(_element("RequestId", request_id))
    return _xml_answer(refusal, root, "text/xml", {"x-amzn-RequestId": request_id})


def _ec2_answer(refusal: Refusal) -> Answer:
    request_id = str(uuid4())
    root = ElementTree.Element("Response")
    errors = ElementTree.SubElement(root, "Errors")
    errors.append(_element("Error", {"Code": refusal.code, "Message": refusal.message}))
    root.append(_element("RequestID", request_id))
    return _xml_answer(refusal, root, "text/xml;charset=UTF-8", {"x-amzn-requestid": request_id})


def _json_answer(refusal: Refusal, content_type: str) -> Answer:
    headers = {"Content-Type": content_type, "x-amzn-RequestId": str(uuid4()), "x-amzn-ErrorType": refusal.code}
    body = json.dumps({"__type": refusal.code, "message": refusal.message}).encode()
    return Answer(refusal.status, headers, body, refusal.code)


def _xml_answer(refusal: Refusal, root: ElementTree.Element, content_type: str, headers: dict[str, str]) -> Answer:
    body = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return Answer(refusal.status, {"Content-Type": content_type, **headers}, body, refusal.code)


def _element(tag: str, content: str | dict[str, str]) -> ElementTree.Element:
    element = ElementTree.Element(tag)
    if isinstance(content, str):
        element.text = re.sub(NOT_IN_XML, "\N{REPLACEMENT CHARACTER}", content)
    else:
        element.extend(_element(name, value) for name, value in content.items())
    return element
