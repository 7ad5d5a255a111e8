"""The signature's rules: AWS's own published examples, and botocore's signer over nasty names."""

import io
from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from urllib.parse import quote, urlsplit

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from drydock_gateway.authentication import Authenticator
from drydock_gateway.errors import Reason, Refused
from drydock_gateway.payload import EMPTY_SHA256
from drydock_gateway.principal import Key, Principal
from drydock_gateway.sigv4 import WireRequest, read_claim

# «Examples: signature calculations in AWS Signature Version 4», Amazon S3 API reference.
EXAMPLE_KEY = "AKIAIOSFODNN7EXAMPLE"
EXAMPLE_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
EXAMPLE_TIME = datetime(2013, 5, 24, tzinfo=UTC)
SCOPE = "20130524/us-east-1/s3/aws4_request"
HOST = ("host", "examplebucket.s3.amazonaws.com")
DATE = ("x-amz-date", "20130524T000000Z")

OWNER = Principal("arn:aws:iam::123456789012:root", "123456789012", EXAMPLE_KEY)


def authenticator(now: datetime = EXAMPLE_TIME) -> Authenticator:
    key = Key(OWNER, EXAMPLE_SECRET)
    return Authenticator(lambda key_id: key if key_id == EXAMPLE_KEY else None, clock=lambda: now)


def check(request: WireRequest, body: bytes = b"", now: datetime = EXAMPLE_TIME) -> Principal:
    stream = io.BytesIO(body)
    principal = authenticator(now).authenticate(request, read_claim(request), stream)
    assert stream.tell() == 0
    return principal


def authorization(signed_headers: str, signature: str) -> tuple[str, str]:
    return (
        "authorization",
        f"AWS4-HMAC-SHA256 Credential={EXAMPLE_KEY}/{SCOPE},SignedHeaders={signed_headers},Signature={signature}",
    )


PUBLISHED = {
    "get object": (
        WireRequest(
            "GET",
            "/test.txt",
            "",
            (
                HOST,
                ("range", "bytes=0-9"),
                ("x-amz-content-sha256", EMPTY_SHA256),
                DATE,
                authorization(
                    "host;range;x-amz-content-sha256;x-amz-date",
                    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
                ),
            ),
        ),
        b"",
    ),
    "put object": (
        WireRequest(
            "PUT",
            "/test$file.text",
            "",
            (
                HOST,
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
                DATE,
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
                authorization(
                    "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
                ),
            ),
        ),
        b"Welcome to Amazon S3.",
    ),
    "get lifecycle": (
        WireRequest(
            "GET",
            "/",
            "lifecycle",
            (
                HOST,
                ("x-amz-content-sha256", EMPTY_SHA256),
                DATE,
                authorization(
                    "host;x-amz-content-sha256;x-amz-date",
                    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
                ),
            ),
        ),
        b"",
    ),
    "list objects": (
        WireRequest(
            "GET",
            "/",
            "max-keys=2&prefix=J",
            (
                HOST,
                ("x-amz-content-sha256", EMPTY_SHA256),
                DATE,
                authorization(
                    "host;x-amz-content-sha256;x-amz-date",
                    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
                ),
            ),
        ),
        b"",
    ),
    "presigned URL": (
        WireRequest(
            "GET",
            "/test.txt",
            "X-Amz-Algorithm=AWS4-HMAC-SHA256"
            f"&X-Amz-Credential={quote(f'{EXAMPLE_KEY}/{SCOPE}', safe='')}"
            "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
            "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
            (HOST,),
        ),
        b"",
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_examples(name: str) -> None:
    request, body = PUBLISHED[name]
    assert check(request, body) == OWNER


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_examples_changed_in_one_place(name: str) -> None:
    request, body = PUBLISHED[name]
    changed = WireRequest(request.method, request.path + "x", request.query, request.headers)
    with pytest.raises(Refused) as caught:
        check(changed, body)
    assert caught.value.reason is Reason.WRONG_SIGNATURE


# «Example: signature calculation, chunked upload», with the signatures printed there.
CHUNK_SIGNATURES = (
    (65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
)
CHUNKED = WireRequest(
    "PUT",
    "/examplebucket/chunkObject.txt",
    "",
    (
        ("host", "s3.amazonaws.com"),
        DATE,
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", "66560"),
        ("content-length", "66824"),
        authorization(
            "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
            "x-amz-storage-class",
            "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
        ),
    ),
)


def chunked_body() -> bytes:
    return b"".join(
        f"{size:x};chunk-signature={signature}\r\n".encode() + b"a" * size + b"\r\n"
        for size, signature in CHUNK_SIGNATURES
    )


def test_published_example_of_signed_chunks() -> None:
    body = chunked_body()
    assert len(body) == 66824
    assert check(CHUNKED, body) == OWNER


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda body: body.replace(b"aaaa", b"aaab", 1), Reason.WRONG_SIGNATURE),
        (lambda body: body.replace(b"ad80", b"ad81", 1), Reason.WRONG_SIGNATURE),
        (lambda body: body.replace(b"400;chunk", b"3ff;chunk", 1), Reason.BROKEN_CHUNKS),
        (lambda body: body[:-90], Reason.BROKEN_CHUNKS),  # the last chunk is missing
        (lambda body: body[:66000], Reason.BROKEN_CHUNKS),
        (lambda body: body + b"more", Reason.BROKEN_CHUNKS),
        (lambda body: b"", Reason.BROKEN_CHUNKS),
    ],
)
def test_damaged_chunks(damage, reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        check(CHUNKED, damage(chunked_body()))
    assert caught.value.reason is reason


CHARACTERS = list(" +%/.~-_=&?#:;,'\"()!*@$[]{}|\\^`<>ä€😀aZ0")
SEQUENCES = ["//", "..", "/./", "/../", "%2F", "%25"]
NASTY = st.lists(st.sampled_from(CHARACTERS + SEQUENCES), max_size=20).map("".join)
PAIRS = st.lists(st.tuples(NASTY.filter(bool), NASTY), max_size=5, unique_by=lambda pair: pair[0])


def signed_by_botocore(service: str, method: str, path: str, query: str, headers: dict[str, str], body: bytes):
    """The request as botocore's signer leaves it, and its time."""
    classes = {"s3": botocore.auth.S3SigV4Auth, "execute-api": botocore.auth.SigV4Auth}
    now = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
    url = f"http://127.0.0.1:4566{path}{'?' + query if query else ''}"
    request = AWSRequest(method, url, headers, data=body)
    request.context["payload_signing_enabled"] = True
    with patch.object(botocore.auth, "get_current_datetime", lambda: now.replace(tzinfo=None)):
        classes[service](Credentials(EXAMPLE_KEY, EXAMPLE_SECRET), service, "us-east-1").add_auth(request)
    wire_headers = (("host", "127.0.0.1:4566"), *((name.lower(), value) for name, value in request.headers.items()))
    return WireRequest(method, path, query, tuple(wire_headers)), now


@given(service=st.sampled_from(["s3", "execute-api"]), key=NASTY, pairs=PAIRS, body=st.binary(max_size=64))
def test_agrees_with_botocore(service: str, key: str, pairs: list[tuple[str, str]], body: bytes) -> None:
    # S3 keys go over the wire as botocore's serializer writes them: everything encoded but these.
    path = "/bucket/" + quote(key, safe="/~")
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    request, now = signed_by_botocore(service, "PUT", path, query, {"x-amz-meta-note": "two  spaces"}, body)
    assert check(request, body, now) == OWNER


@given(key=NASTY, pairs=PAIRS)
def test_presigned_by_botocore(key: str, pairs: list[tuple[str, str]]) -> None:
    now = datetime(2026, 2, 28, 12, 0, 0, tzinfo=UTC)
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    request = AWSRequest("GET", f"http://127.0.0.1:4566/bucket/{quote(key, safe='/~')}{'?' + query if query else ''}")
    with patch.object(botocore.auth, "get_current_datetime", lambda: now.replace(tzinfo=None)):
        signer = botocore.auth.S3SigV4QueryAuth(Credentials(EXAMPLE_KEY, EXAMPLE_SECRET), "s3", "us-east-1", expires=60)
        signer.add_auth(request)
    path, _, signed_query = request.url.removeprefix("http://127.0.0.1:4566").partition("?")
    wire = WireRequest("GET", path, signed_query, (("host", urlsplit(request.url).netloc),))
    assert check(wire, now=now) == OWNER


@given(key=NASTY, other=NASTY)
def test_another_key_needs_another_signature(key: str, other: str) -> None:
    path, other_path = "/bucket/" + quote(key, safe="/~"), "/bucket/" + quote(other, safe="/~")
    request, now = signed_by_botocore("s3", "GET", path, "", {}, b"")
    moved = WireRequest("GET", other_path, "", request.headers)
    if key == other:
        check(moved, now=now)
        return
    with pytest.raises(Refused) as caught:
        check(moved, now=now)
    assert caught.value.reason is Reason.WRONG_SIGNATURE


def test_a_path_may_be_encoded_otherwise_than_it_was_signed() -> None:
    """S3 signs the decoded path: `%41` is `A`, and `(` needs no encoding on the wire."""
    request, now = signed_by_botocore("s3", "GET", "/bucket/A%28b%29", "", {}, b"")
    for path in ("/bucket/A(b)", "/bucket/%41%28b%29", "/bucket/A%28b%29"):
        assert check(WireRequest("GET", path, "", request.headers), now=now) == OWNER


def test_repeated_headers_are_joined() -> None:
    """In the order they were sent, by a comma; spaces inside a value collapse."""
    request, now = signed_by_botocore("s3", "GET", "/b", "", {"x-amz-meta-a": "one  1,two"}, b"")
    headers = tuple(pair for pair in request.headers if pair[0] != "x-amz-meta-a")
    in_order = (*headers, ("x-amz-meta-a", " one 1 "), ("x-amz-meta-a", "two"))
    assert check(WireRequest("GET", "/b", "", in_order), now=now) == OWNER
    swapped = (*headers, ("x-amz-meta-a", "two"), ("x-amz-meta-a", "one 1"))
    with pytest.raises(Refused):
        check(WireRequest("GET", "/b", "", swapped), now=now)


@pytest.mark.parametrize("name", ["x-amz-copy-source", "x-amz-security-token", "x-amz-acl"])
def test_headers_of_amazon_have_to_be_signed(name: str) -> None:
    request, now = signed_by_botocore("s3", "GET", "/b", "", {}, b"")
    with pytest.raises(Refused) as caught:
        check(WireRequest("GET", "/b", "", (*request.headers, (name, ""))), now=now)
    assert caught.value.reason is Reason.UNSIGNED_HEADERS
    assert caught.value.details["headers"] == [name]


def test_a_key_is_good_for_its_day_only() -> None:
    request, now = signed_by_botocore("s3", "GET", "/b", "", {}, b"")
    replaced = [(name, "20260301T000001Z" if name == "x-amz-date" else value) for name, value in request.headers]
    with pytest.raises(Refused) as caught:
        check(WireRequest("GET", "/b", "", tuple(replaced)), now=now + timedelta(seconds=2))
    assert caught.value.reason is Reason.WRONG_SCOPE


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=", Reason.MECHANISM),
        ("AWS4-ECDSA-P256-SHA256 Credential=a/b, SignedHeaders=host, Signature=0", Reason.MECHANISM),
        ("Bearer token", Reason.MECHANISM),
        ("AWS4-HMAC-SHA256", Reason.MALFORMED_HEADER),
        (f"AWS4-HMAC-SHA256 Credential={EXAMPLE_KEY}/{SCOPE},SignedHeaders=host", Reason.MALFORMED_HEADER),
        ("AWS4-HMAC-SHA256 Credential=key,SignedHeaders=host,Signature=0", Reason.MALFORMED_HEADER),
        (f"AWS4-HMAC-SHA256 Credential={EXAMPLE_KEY}/{SCOPE},SignedHeaders=Host,Signature=0", Reason.MALFORMED_HEADER),
        (f"AWS4-HMAC-SHA256 Credential={EXAMPLE_KEY}/{SCOPE},SignedHeaders=host,Signature=0", Reason.NO_DATE),
    ],
)  # fmt: skip
def test_authorization_headers_that_say_too_little(value: str, reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        check(WireRequest("GET", "/b", "", (HOST, ("authorization", value))))
    assert caught.value.reason is reason


@pytest.mark.parametrize("name", ["X-Amz-Credential", "X-Amz-SignedHeaders"])
@pytest.mark.parametrize("nasty", ["%FF", "%E2%82%AC"])
def test_a_presigned_url_with_names_that_no_header_can_have_is_refused(name: str, nasty: str) -> None:
    values = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{EXAMPLE_KEY}/{SCOPE}",
        "X-Amz-Date": "20130524T000000Z",
        "X-Amz-Expires": "60",
        "X-Amz-SignedHeaders": "host",
        "X-Amz-Signature": "0" * 64,
    }
    spoilt = {key: quote(value, safe="") for key, value in values.items()}
    spoilt[name] = spoilt[name].replace("us-east-1", nasty) if "us-east-1" in spoilt[name] else f"host%3B{nasty}"
    request = WireRequest("GET", "/key", "&".join(f"{key}={value}" for key, value in spoilt.items()), (HOST,))
    with pytest.raises(Refused):
        check(request)
