"""AWS Signature Version 4, the server's side: what a request claims, and the signature it should then carry.

Pure functions over what came over the wire. The rules are those of AWS's «Signature Version 4 signing process» and of
S3's «Authenticating Requests»; S3 differs from all other services in that a path is encoded once and never normalised
(`a//b` and `a/../b` are keys), elsewhere it is normalised and encoded twice.
"""

import hashlib
import hmac
import posixpath
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property, lru_cache
from urllib.parse import quote, unquote_to_bytes

from drydock_gateway.errors import Reason, Refused

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
TIMESTAMP = "%Y%m%dT%H%M%SZ"
QUERY_PARAMETERS = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature")


@dataclass(frozen=True)
class WireRequest:
    """A request as it was sent: `path` and `query` still percent-encoded, `headers` in order, repeated ones repeated.

    Header names are lower case; values are decoded as latin-1, so that encoding them again gives the bytes that were
    sent.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str | None:
        """The value of a header; repeated ones joined by a comma, spaces collapsed, as they are signed."""
        return self._signed_values.get(name)

    def parameters(self) -> list[tuple[str, str]]:
        """The query's parameters, decoded; text that is no UTF-8 keeps its bytes by surrogates."""
        return [(_text(name), _text(value)) for name, value in _pairs(self.query)]

    @cached_property
    def _signed_values(self) -> dict[str, str]:
        values: dict[str, str] = {}
        for name, raw in self.headers:
            value = " ".join(raw.split())
            values[name] = f"{values[name]},{value}" if name in values else value
        return values


@dataclass(frozen=True)
class Scope:
    """What a signing key is good for: a day (YYYYMMDD), a region and a service."""

    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


@dataclass(frozen=True)
class Claim:
    """Who a request says it is from. Nothing here is believed before the signature has been compared."""

    access_key_id: str
    scope: Scope
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: datetime
    token: str | None
    in_query: bool
    expires_seconds: int | None = None  # of a presigned URL

    @property
    def is_s3(self) -> bool:
        return self.scope.service == "s3"


def read_claim(request: WireRequest) -> Claim:
    """What the Authorization header or a presigned URL's parameters say. Raises Refused."""
    authorization = request.header("authorization")
    parameters = request.parameters()
    names = {name for name, _ in parameters}
    in_query = not names.isdisjoint((*QUERY_PARAMETERS, "Signature", "AWSAccessKeyId"))
    if authorization is None and not in_query:
        raise Refused(Reason.ANONYMOUS)
    if authorization is not None and in_query:
        raise Refused(Reason.TWO_MECHANISMS)
    if authorization is not None:
        return _claim_of_header(request, authorization)
    return _claim_of_query(parameters)


def canonical_request(request: WireRequest, claim: Claim, payload_hash: str) -> str:
    """The request in the one form that both sides sign, latin-1 text."""
    headers = "".join(f"{name}:{request.header(name) or ''}\n" for name in claim.signed_headers)
    return "\n".join(
        (
            request.method,
            canonical_path(request.path, is_s3=claim.is_s3),
            canonical_query(request.query),
            headers,
            ";".join(claim.signed_headers),
            payload_hash,
        )
    )


def canonical_path(path: str, *, is_s3: bool) -> str:
    if is_s3:
        return quote(unquote_to_bytes(path), safe="/") or "/"
    # What came over the wire is encoded once already.
    return quote(_without_dots(path), safe="/")


def canonical_query(query: str) -> str:
    """Names and values encoded, sorted by both; a presigned URL's signature does not sign itself."""
    pairs = [
        (quote(name, safe=""), quote(value, safe="")) for name, value in _pairs(query) if name != b"X-Amz-Signature"
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def string_to_sign(claim: Claim, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    return "\n".join((ALGORITHM, claim.timestamp.strftime(TIMESTAMP), str(claim.scope), digest))


@lru_cache(maxsize=256)
def signing_key(secret_access_key: str, scope: Scope) -> bytes:
    key = f"AWS4{secret_access_key}".encode()
    for part in (scope.date, scope.region, scope.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def sign(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode("latin-1"), "sha256").hex()


def _claim_of_header(request: WireRequest, authorization: str) -> Claim:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise Refused(Reason.MECHANISM, algorithm=algorithm)
    fields = {}
    for field in rest.split(","):
        name, separator, value = field.strip().partition("=")
        if not separator or name in fields:
            raise Refused(
                Reason.MALFORMED_HEADER,
                f"'{field.strip()}' not a valid key=value pair (missing equal-sign) in Authorization header.",
            )
        fields[name] = value
    for name in ("Credential", "Signature", "SignedHeaders"):
        if not fields.get(name):
            raise Refused(Reason.MALFORMED_HEADER, f"Authorization header requires '{name}' parameter.")
    access_key_id, scope = _credential(fields["Credential"], Reason.MALFORMED_HEADER)
    return Claim(
        access_key_id=access_key_id,
        scope=scope,
        signed_headers=_signed_headers(fields["SignedHeaders"], Reason.MALFORMED_HEADER),
        signature=fields["Signature"],
        timestamp=_timestamp_of_headers(request),
        token=request.header("x-amz-security-token"),
        in_query=False,
    )


def _claim_of_query(parameters: list[tuple[str, str]]) -> Claim:
    values = dict(parameters)
    if "X-Amz-Algorithm" not in values and ("AWSAccessKeyId" in values or "Signature" in values):
        raise Refused(Reason.MECHANISM, algorithm="AWS")
    for name in QUERY_PARAMETERS:
        if sum(1 for key, _ in parameters if key == name) != 1 or not values[name]:
            raise Refused(
                Reason.MALFORMED_QUERY,
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
                "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
            )
    if values["X-Amz-Algorithm"] != ALGORITHM:
        raise Refused(Reason.MALFORMED_QUERY, f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    access_key_id, scope = _credential(values["X-Amz-Credential"], Reason.MALFORMED_QUERY)
    timestamp = _iso_timestamp(values["X-Amz-Date"])
    if timestamp is None:
        raise Refused(Reason.MALFORMED_QUERY, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    return Claim(
        access_key_id=access_key_id,
        scope=scope,
        signed_headers=_signed_headers(values["X-Amz-SignedHeaders"], Reason.MALFORMED_QUERY),
        signature=values["X-Amz-Signature"],
        timestamp=timestamp,
        token=values.get("X-Amz-Security-Token"),
        in_query=True,
        expires_seconds=_expires(values.get("X-Amz-Expires"), is_required=scope.service == "s3"),
    )


def _credential(text: str, reason: Reason) -> tuple[str, Scope]:
    parts = text.split("/")
    is_whole = len(parts) >= 5 and parts[-1] == "aws4_request" and all(parts) and text.isascii()
    if not is_whole or not re.fullmatch(r"\d{8}", parts[-4]):
        raise Refused(
            reason,
            'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
        )
    return "/".join(parts[:-4]), Scope(*parts[-4:-1])


def _signed_headers(text: str, reason: Reason) -> tuple[str, ...]:
    names = tuple(text.split(";"))
    if not all(names) or not text.isascii() or text != text.lower() or len(set(names)) != len(names):
        raise Refused(reason, "SignedHeaders has to be a list of lower-case header names, separated by semicolons.")
    return names


def _timestamp_of_headers(request: WireRequest) -> datetime:
    """`x-amz-date` goes before `date`, which other software may have added."""
    timestamp = None
    if (amz_date := request.header("x-amz-date")) is not None:
        timestamp = _iso_timestamp(amz_date)
    elif (date := request.header("date")) is not None:
        timestamp = _iso_timestamp(date) or _http_date(date)
    if timestamp is None:
        raise Refused(Reason.NO_DATE)
    return timestamp


def _iso_timestamp(text: str) -> datetime | None:
    match = re.fullmatch(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", text, re.ASCII)
    if not match:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


def _expires(text: str | None, *, is_required: bool) -> int | None:
    """S3's bounds of X-Amz-Expires: 0 seconds to a week."""
    if text is None and not is_required:
        return None
    if not re.fullmatch(r"-?\d{1,10}", text or ""):
        raise Refused(Reason.MALFORMED_QUERY, "X-Amz-Expires should be a number")
    seconds = int(text or "")
    if seconds < 0:
        raise Refused(Reason.MALFORMED_QUERY, "X-Amz-Expires must be non-negative")
    if seconds > 604_800:
        raise Refused(
            Reason.MALFORMED_QUERY,
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            "604800 seconds",
        )
    return seconds


def _pairs(query: str) -> list[tuple[bytes, bytes]]:
    """The query's names and values as bytes; `+` is a space, as it is to who serves the request afterwards."""
    pairs = []
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.replace("+", "%20").partition("=")
            pairs.append((unquote_to_bytes(name), unquote_to_bytes(value)))
    return pairs


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _without_dots(path: str) -> str:
    """Dot segments and repeated slashes removed; a slash at the end stays."""
    normal = "/" + posixpath.normpath(path or "/").lstrip("/")
    return normal + "/" if path.endswith("/") and normal != "/" else normal
