"""S3's ways of signing, through the real gateway: what was signed is what is served."""

import hashlib
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from drydock_gateway import sigv4
from drydock_gateway.sigv4 import Claim, Scope

from .rig import REGION, Gateway

NASTY_KEYS = [
    "plain",
    "two words",
    "a+b",
    "100%",
    "%2F",
    "%252F",
    "ä/€/😀",
    "a//b",
    "a/./b",
    "a/../b",
    "trailing/",
    "//leading",
    "q?x=1&y=2",
    "#;:,'\"()!*@$[]{}|\\^`<>~",
    ".hidden/..",
]


@pytest.mark.parametrize("key", NASTY_KEYS)
def test_nasty_keys(gateway: Gateway, bucket: str, key: str) -> None:
    s3 = presigner(gateway)
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
    answer = gateway.send("GET", url.removeprefix(gateway.url))
    assert (answer.status, answer.body) == (200, key.encode())
    assert key in [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]]
    s3.delete_object(Bucket=bucket, Key=key)


@pytest.mark.parametrize("size", [0, 1, 99_999, 100_001, 9 << 20])  # in memory or in a file; in one part or several
def test_bodies_of_all_sizes(gateway: Gateway, bucket: str, size: int, tmp_path) -> None:
    content = hashlib.shake_128(b"seed").digest(size)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(content)
    s3 = gateway.client("s3")
    s3.upload_file(str(source), bucket, "sized")
    s3.download_file(bucket, "sized", str(target))
    assert target.read_bytes() == content


@pytest.mark.parametrize("size", [10, 200_000])
def test_tampered_body(gateway: Gateway, bucket: str, size: int) -> None:
    body = b"x" * size
    target = f"/{bucket}/tampered"
    headers = gateway.signed("PUT", target, body=body)
    answer = gateway.send("PUT", target, headers, body.replace(b"x", b"y", 1))
    assert answer.status == 400
    assert "<Code>XAmzContentSHA256Mismatch</Code>" in answer.text
    assert f"<S3ComputedContentSHA256>{hashlib.sha256(b'y' + body[1:]).hexdigest()}" in answer.text


def test_body_that_nobody_signed(gateway: Gateway, bucket: str) -> None:
    target = f"/{bucket}/unsigned"
    headers = by_hand(gateway, "PUT", target, {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, "UNSIGNED-PAYLOAD")
    assert gateway.send("PUT", target, headers, b"whatever").status == 200
    assert gateway.client("s3").get_object(Bucket=bucket, Key="unsigned")["Body"].read() == b"whatever"


@pytest.mark.parametrize("declared", ["", "0" * 63, "unsigned-payload", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"])
def test_payload_hash_that_is_none(gateway: Gateway, bucket: str, declared: str) -> None:
    target = f"/{bucket}/key"
    headers = by_hand(gateway, "PUT", target, {"x-amz-content-sha256": declared} if declared else {}, declared)
    answer = gateway.send("PUT", target, headers, b"body")
    assert answer.status == 400
    expected = "must be UNSIGNED-PAYLOAD" if declared else "Missing required header"
    assert expected in answer.text


@pytest.mark.parametrize("chunk_bytes", [[65536, 1024], [3], [], [200_000, 200_000, 1]])
def test_signed_chunks(gateway: Gateway, bucket: str, chunk_bytes: list[int]) -> None:
    """What S3A and AWS's other SDKs send over plain HTTP."""
    chunks = [bytes([65 + index]) * size for index, size in enumerate(chunk_bytes)]
    target = f"/{bucket}/chunked"
    headers, body = chunked(gateway, target, chunks)
    answer = gateway.send("PUT", target, headers, body)
    assert answer.status == 200, answer.text
    assert gateway.client("s3").get_object(Bucket=bucket, Key="chunked")["Body"].read() == b"".join(chunks)


def test_tampered_chunk(gateway: Gateway, bucket: str) -> None:
    target = f"/{bucket}/chunked-badly"
    headers, body = chunked(gateway, target, [b"A" * 70_000, b"B" * 10])
    answer = gateway.send("PUT", target, headers, body.replace(b"BBBBBBBBBB", b"BBBBBBBBBC"))
    assert answer.status == 403
    assert "<Code>SignatureDoesNotMatch</Code>" in answer.text
    with pytest.raises(ClientError, match="404"):
        gateway.client("s3").head_object(Bucket=bucket, Key="chunked-badly")


def test_chunks_over_tls_with_a_checksum_behind_them(gateway: Gateway, bucket: str) -> None:
    """boto3 over HTTPS: STREAMING-UNSIGNED-PAYLOAD-TRAILER."""
    s3 = boto3.client(
        "s3",
        endpoint_url=gateway.url.replace("http:", "https:"),
        region_name=REGION,
        aws_access_key_id=gateway.operator["access_key_id"],
        aws_secret_access_key=gateway.operator["secret_access_key"],
        verify=False,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )
    with pytest.warns(Warning, match="Unverified HTTPS request"):
        s3.put_object(Bucket=bucket, Key="trailer", Body=b"checked", ChecksumAlgorithm="SHA256")
    assert gateway.client("s3").get_object(Bucket=bucket, Key="trailer")["Body"].read() == b"checked"


def test_presigned_upload(gateway: Gateway, bucket: str) -> None:
    s3 = presigner(gateway)
    url = s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "up", "ContentType": "text/plain"})
    target = url.removeprefix(gateway.url)
    assert gateway.send("PUT", target, {"Content-Type": "text/html"}, b"up").status == 403
    assert gateway.send("PUT", target, {"Content-Type": "text/plain"}, b"up").status == 200
    stored = s3.get_object(Bucket=bucket, Key="up")
    assert (stored["Body"].read(), stored["ContentType"]) == (b"up", "text/plain")


def test_presigned_url_is_good_for_nothing_else(gateway: Gateway, bucket: str) -> None:
    s3 = presigner(gateway)
    s3.put_object(Bucket=bucket, Key="shown", Body=b"shown")
    s3.put_object(Bucket=bucket, Key="secret", Body=b"secret")
    target = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "shown"}, ExpiresIn=60)
    target = target.removeprefix(gateway.url)
    assert gateway.send("GET", target).body == b"shown"
    for method, changed in [
        ("GET", target.replace("shown", "secret")),
        ("PUT", target),
        ("DELETE", target),
        ("GET", target + "&versionId=null"),
        ("GET", target.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")),
    ]:
        answer = gateway.send(method, changed, body=b"")
        assert answer.status == 403, (method, changed)
        assert "<Code>SignatureDoesNotMatch</Code>" in answer.text
    answer = gateway.send("GET", target, {"x-amz-acl": "public-read"})
    assert (answer.status, "<HeadersNotSigned>x-amz-acl</HeadersNotSigned>" in answer.text) == (403, True)
    answer = gateway.send("GET", target, gateway.signed("GET", f"/{bucket}/shown"))
    assert (answer.status, "Only one auth mechanism allowed" in answer.text) == (400, True)


def test_presigned_url_expires(gateway: Gateway, bucket: str) -> None:
    s3 = presigner(gateway)
    s3.put_object(Bucket=bucket, Key="soon gone", Body=b"here")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "soon gone"}, ExpiresIn=1)
    target = url.removeprefix(gateway.url)
    deadline = time.monotonic() + 20
    while (answer := gateway.send("GET", target)).status == 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert answer.status == 403
    assert "<Message>Request has expired</Message>" in answer.text
    assert "<X-Amz-Expires>1</X-Amz-Expires>" in answer.text


def test_presigned_by_a_session(gateway: Gateway, bucket: str) -> None:
    """The account is the session's, not the one of a key that LocalStack makes up."""
    iam, sts = gateway.client("iam"), gateway.client("sts")
    iam.create_role(RoleName="presigner", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
    answer = sts.assume_role(RoleArn="arn:aws:iam::222222222222:role/elsewhere", RoleSessionName="test")["Credentials"]
    session = Credentials(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"])
    url = presigner(gateway, session).generate_presigned_url("create_bucket", Params={"Bucket": "made-elsewhere"})
    assert gateway.send("PUT", url.removeprefix(gateway.url)).status == 200
    assert "made-elsewhere" in bucket_names(gateway, session)
    assert "made-elsewhere" not in bucket_names(gateway)
    bare = url[: url.index("&X-Amz-Security-Token")] if "&X-Amz-Security-Token" in url else ""
    assert bare
    assert gateway.send("PUT", bare.removeprefix(gateway.url)).status in (400, 403)


def test_version_2_signatures_are_refused(gateway: Gateway, bucket: str) -> None:
    """As by S3 in all its newer Regions. boto3 and the aws CLI presign like that unless told otherwise."""
    answer = gateway.send("GET", f"/{bucket}/key", {"Authorization": "AWS AKIAIOSFODNN7EXAMPLE:c2lnbmF0dXJl"})
    assert (answer.status, "Please use AWS4-HMAC-SHA256" in answer.text) == (400, True)
    url = gateway.client("s3").generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "key"})
    assert "AWSAccessKeyId=" in url
    answer = gateway.send("GET", url.removeprefix(gateway.url))
    assert (answer.status, "Please use AWS4-HMAC-SHA256" in answer.text) == (400, True)


def test_forms_are_refused(gateway: Gateway, bucket: str) -> None:
    """A form carries its signature in its fields, where it is not looked for: to the gateway it is anonymous."""
    form = gateway.client("s3").generate_presigned_post(bucket, "key")["fields"]
    parts = "".join(f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{form[name]}\r\n' for name in form)
    body = f'{parts}--b\r\nContent-Disposition: form-data; name="file"\r\n\r\ndata\r\n--b--\r\n'.encode()
    answer = gateway.send("POST", f"/{bucket}", {"Content-Type": "multipart/form-data; boundary=b"}, body)
    assert (answer.status, "<Code>AccessDenied</Code>" in answer.text) == (403, True)


def test_repeated_and_folded_headers(gateway: Gateway, bucket: str) -> None:
    target = f"/{bucket}/folded"
    headers = gateway.signed("PUT", target, headers={"x-amz-meta-note": "one two,three"})
    pairs = [pair for pair in headers.items() if pair[0].lower() != "x-amz-meta-note"]
    sent = [*pairs, ("x-amz-meta-note", "one\r\n   two"), ("X-Amz-Meta-Note", "three")]
    assert gateway.send("PUT", target, sent).status == 200
    sent[-1] = ("X-Amz-Meta-Note", "four")
    assert gateway.send("PUT", target, sent).status == 403


def presigner(gateway: Gateway, credentials: Credentials | None = None) -> Any:
    return gateway.client("s3", credentials, signature_version="s3v4")


def bucket_names(gateway: Gateway, credentials: Credentials | None = None) -> list[str]:
    return [bucket["Name"] for bucket in gateway.client("s3", credentials).list_buckets()["Buckets"]]


def claim_of(gateway: Gateway, signed_headers: list[str]) -> Claim:
    now = datetime.now(UTC)
    scope = Scope(now.strftime("%Y%m%d"), REGION, "s3")
    return Claim(gateway.operator["access_key_id"], scope, tuple(sorted(signed_headers)), "", now, None, in_query=False)


def by_hand(gateway: Gateway, method: str, target: str, headers: dict[str, str], payload_hash: str) -> dict[str, str]:
    """Headers signed with any payload hash, also one that botocore's signer would not write.

    By the gateway's own rules, which test_sigv4 holds to AWS's examples.
    """
    names = {**headers, "host": urlsplit(gateway.url).netloc}
    claim = claim_of(gateway, [*names, "x-amz-date"])
    names["x-amz-date"] = claim.timestamp.strftime(sigv4.TIMESTAMP)
    request = sigv4.WireRequest(method, target, "", tuple(names.items()))
    to_sign = sigv4.string_to_sign(claim, sigv4.canonical_request(request, claim, payload_hash))
    key = sigv4.signing_key(gateway.operator["secret_access_key"], claim.scope)
    names["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={claim.access_key_id}/{claim.scope}, "
        f"SignedHeaders={';'.join(claim.signed_headers)}, Signature={sigv4.sign(key, to_sign)}"
    )
    return names


def chunked(gateway: Gateway, target: str, chunks: list[bytes]) -> tuple[dict[str, str], bytes]:
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    decoded = str(sum(map(len, chunks)))
    declared = {
        "x-amz-content-sha256": kind,
        "x-amz-decoded-content-length": decoded,
        "content-encoding": "aws-chunked",
    }
    headers = by_hand(gateway, "PUT", target, declared, kind)
    scope = headers["Authorization"].split("Credential=")[1].split(",")[0].partition("/")[2]
    previous = headers["Authorization"].rpartition("Signature=")[2]
    key = sigv4.signing_key(gateway.operator["secret_access_key"], Scope(*scope.split("/")[:3]))
    body = b""
    for chunk in [*chunks, b""]:
        digests = f"{hashlib.sha256(b'').hexdigest()}\n{hashlib.sha256(chunk).hexdigest()}"
        previous = sigv4.sign(key, f"AWS4-HMAC-SHA256-PAYLOAD\n{headers['x-amz-date']}\n{scope}\n{previous}\n{digests}")
        body += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + b"\r\n"
    return headers, body
