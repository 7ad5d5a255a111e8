"""Whether a body is the one that was signed.

Most services sign the SHA-256 of the body. S3 also knows bodies that are not signed, and bodies that are sent in
chunks, each with a signature that builds on the one before (`STREAMING-AWS4-HMAC-SHA256-PAYLOAD`, what S3A sends):
the request's own signature is the seed.

    1a2b;chunk-signature=<64 hex digits>\\r\\n<0x1a2b bytes>\\r\\n … 0;chunk-signature=…\\r\\n[trailers]\\r\\n
"""

import hashlib
import hmac
import re
from typing import BinaryIO

from drydock_gateway.errors import Reason, Refused
from drydock_gateway.sigv4 import TIMESTAMP, UNSIGNED_PAYLOAD, Claim, WireRequest, sign

SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_CHUNKS_AND_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_CHUNKS = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
BLOCK_BYTES = 1 << 20
LINE_BYTES = 8 << 10  # far more than any chunk header or trailer has


def declared_hash(request: WireRequest, claim: Claim, body: BinaryIO) -> str:
    """What stands for the body in the canonical request. Raises Refused when S3 would not take what is declared."""
    if not claim.is_s3:
        return sha256(body)  # x-amz-content-sha256 is not taken at its word
    declared = request.header("x-amz-content-sha256")
    if claim.in_query:
        # A presigned URL signs no payload unless it says so.
        if declared is None or "x-amz-content-sha256" not in claim.signed_headers:
            declared = dict(request.parameters()).get("X-Amz-Content-Sha256", UNSIGNED_PAYLOAD)
    elif declared is None:
        raise Refused(Reason.NO_PAYLOAD_HASH)
    known = (UNSIGNED_PAYLOAD, SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILER, UNSIGNED_CHUNKS)
    if declared not in known and not re.fullmatch("[0-9a-f]{64}", declared):
        raise Refused(Reason.BAD_PAYLOAD_HASH, declared=declared)
    return declared


def check_payload(declared: str, claim: Claim, key: bytes, body: BinaryIO) -> None:
    """Raise Refused unless `body` is what `declared` says. `body` is left at its start."""
    if declared in (SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILER):
        _check_chunks(claim, key, body, has_trailer=declared == SIGNED_CHUNKS_AND_TRAILER)
    elif declared not in (UNSIGNED_PAYLOAD, UNSIGNED_CHUNKS) and claim.is_s3:
        computed = sha256(body)
        if computed != declared:
            raise Refused(Reason.WRONG_PAYLOAD, declared=declared, computed=computed)
    body.seek(0)


def sha256(body: BinaryIO) -> str:
    """The hash of the whole body, which is left at its start."""
    digest = hashlib.sha256()
    body.seek(0)
    while block := body.read(BLOCK_BYTES):
        digest.update(block)
    body.seek(0)
    return digest.hexdigest()


def _check_chunks(claim: Claim, key: bytes, body: BinaryIO, *, has_trailer: bool) -> None:
    prefix = f"{claim.timestamp.strftime(TIMESTAMP)}\n{claim.scope}"
    previous = claim.signature
    body.seek(0)
    while True:
        size, signature = _chunk_header(body)
        digest = _chunk_hash(body, size)
        expected = sign(key, f"AWS4-HMAC-SHA256-PAYLOAD\n{prefix}\n{previous}\n{EMPTY_SHA256}\n{digest}")
        if not hmac.compare_digest(expected, signature):
            raise Refused(Reason.WRONG_SIGNATURE, provided=signature)
        previous = signature
        if size == 0:
            break
    if has_trailer:
        _check_trailer(prefix, previous, key, body)
    elif body.read(len(b"\r\n") + 1) not in (b"\r\n", b""):
        raise Refused(Reason.BROKEN_CHUNKS)


def _chunk_header(body: BinaryIO) -> tuple[int, str]:
    match = re.fullmatch(rb"([0-9a-fA-F]{1,16});chunk-signature=([0-9a-f]{64})\r\n", body.readline(LINE_BYTES))
    if not match:
        raise Refused(Reason.BROKEN_CHUNKS)
    return int(match[1], 16), match[2].decode()


def _chunk_hash(body: BinaryIO, size: int) -> str:
    """Hash a chunk's data, and read the line end behind it; the last chunk, of size 0, has neither."""
    digest = hashlib.sha256()
    remaining = size
    while remaining:
        block = body.read(min(remaining, BLOCK_BYTES))
        if not block:
            raise Refused(Reason.BROKEN_CHUNKS)
        digest.update(block)
        remaining -= len(block)
    if size and body.read(2) != b"\r\n":
        raise Refused(Reason.BROKEN_CHUNKS)
    return digest.hexdigest()


def _check_trailer(prefix: str, previous: str, key: bytes, body: BinaryIO) -> None:
    """The trailing headers are signed too, by a last trailer of their own."""
    canonical = b""
    while line := body.readline(LINE_BYTES).strip():
        name, _, value = line.partition(b":")
        if name == b"x-amz-trailer-signature":
            digest = hashlib.sha256(canonical).hexdigest()
            expected = sign(key, f"AWS4-HMAC-SHA256-TRAILER\n{prefix}\n{previous}\n{digest}")
            if hmac.compare_digest(expected.encode(), value.strip()):
                return
            raise Refused(Reason.WRONG_SIGNATURE, provided=value.decode("latin-1").strip())
        canonical += name.strip().lower() + b":" + value.strip() + b"\n"
    raise Refused(Reason.BROKEN_CHUNKS)
