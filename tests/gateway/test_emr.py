"""EMR through the gateway: raw bytes, the caller's name, and the answer as it was given."""

import json
import socket
import threading
import time

import pytest
from botocore.exceptions import ClientError

from drydock_emr.api.endpoint import MAX_REQUEST_BYTES

from .rig import ACCOUNT, OPERATOR_ARN, REGION, Gateway, Recorder

TARGET = {"X-Amz-Target": "ElasticMapReduce.ListClusters", "Content-Type": "application/x-amz-json-1.1"}


def send(gateway: Gateway, body: bytes = b"{}", **headers: str):
    signed = gateway.signed("POST", "/", "elasticmapreduce", body, {**TARGET, **headers})
    return gateway.send("POST", "/", signed, body)


def test_what_the_control_plane_gets(gateway: Gateway, emr: Recorder) -> None:
    gateway.client("emr").describe_cluster(ClusterId="j-1")
    request = emr.requests[-1]
    assert json.loads(request.body) == {"ClusterId": "j-1"}
    assert request.headers["x-amz-target"] == "ElasticMapReduce.DescribeCluster"
    assert request.headers["content-type"] == "application/x-amz-json-1.1"
    assert request.claims["sub"] == OPERATOR_ARN
    assert request.claims["account"] == ACCOUNT
    assert request.claims["region"] == REGION
    assert request.claims["exp"] - request.claims["iat"] == 30


@pytest.mark.parametrize("body", [b"{}", b"", b"not json", b'{"Name": "\xc3\xa4  \\u00e4"}', b"\x00\xff" * 200_000])
def test_bodies_are_untouched(gateway: Gateway, emr: Recorder, body: bytes) -> None:
    assert send(gateway, body).status == 200
    assert emr.requests[-1].body == body


def test_the_largest_request_is_the_control_plane_s(gateway: Gateway, emr: Recorder) -> None:
    """One limit on both sides: what the control plane takes is passed on, what it would refuse is refused here."""
    assert send(gateway, b" " * MAX_REQUEST_BYTES).status == 200
    assert len(emr.requests[-1].body) == MAX_REQUEST_BYTES
    answer = send(gateway, b" " * (MAX_REQUEST_BYTES + 1))
    assert (answer.status, json.loads(answer.body)["__type"]) == (413, "RequestEntityTooLargeException")
    assert len(emr.requests) == 1


@pytest.mark.parametrize("target", ["ElasticMapReduce.NoSuchOperation", "ElasticMapReduce.", "Nonsense"])
def test_operations_are_not_ours_to_know(gateway: Gateway, emr: Recorder, target: str) -> None:
    assert send(gateway, **{"X-Amz-Target": target}).status == 200
    assert emr.requests[-1].headers["x-amz-target"] == target


def test_the_answer_is_passed_back(gateway: Gateway, emr: Recorder) -> None:
    emr.answer = (
        400,
        {
            "Content-Type": "application/x-amz-json-1.1",
            "x-amzn-RequestId": "11111111-2222-3333-4444-555555555555",
            "x-amzn-ErrorType": "InvalidRequestException",
            "Set-Cookie": "no=1",
            "Server": "secret",
        },
        b'{"__type": "InvalidRequestException", "Message": "Cluster id \'j-1\' is not valid."}',
    )
    with pytest.raises(ClientError) as caught:
        gateway.client("emr").describe_cluster(ClusterId="j-1")
    response = caught.value.response
    assert response["Error"] == {"Code": "InvalidRequestException", "Message": "Cluster id 'j-1' is not valid."}
    assert response["ResponseMetadata"]["RequestId"] == "11111111-2222-3333-4444-555555555555"
    answer = send(gateway)
    assert "set-cookie" not in answer.headers
    assert answer.headers["server"] != "secret"


def test_signed_for_another_service(gateway: Gateway, emr: Recorder) -> None:
    headers = gateway.signed("POST", "/", "s3", b"{}", TARGET)
    answer = gateway.send("POST", "/", headers, b"{}")
    assert answer.status in (400, 403)
    assert emr.requests == []


def test_a_caller_cannot_name_himself(gateway: Gateway, emr: Recorder) -> None:
    send(gateway, **{"X-Drydock-Principal": "arn:aws:iam::1:root", "X-Amzn-Trace-Id": "Root=1"})
    sent = emr.requests[-1].headers
    assert set(sent) <= {
        "host", "accept", "accept-encoding", "connection", "user-agent", "content-length", "content-type",
        "x-amz-target", "authorization",
    }  # fmt: skip
    assert sent["authorization"].startswith("Bearer ")


def test_tampered_request(gateway: Gateway, emr: Recorder) -> None:
    headers = gateway.signed("POST", "/", "elasticmapreduce", b"{}", TARGET)
    answer = gateway.send("POST", "/", headers, b'{"Marker": "x"}')
    assert (answer.status, json.loads(answer.body)["__type"]) == (400, "InvalidSignatureException")
    moved = {**headers, "X-Amz-Target": "ElasticMapReduce.TerminateJobFlows"}
    assert gateway.send("POST", "/", moved, b"{}").status == 400
    assert emr.requests == []


def test_a_client_that_leaves_does_no_harm(gateway: Gateway, emr: Recorder) -> None:
    headers = gateway.signed("POST", "/", "elasticmapreduce", b"{}", TARGET)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    for body, length in ((b"{}", 2), (b"{", 2)):  # gone after the request, and in the middle of it
        with socket.create_connection(("127.0.0.1", gateway.port)) as client:
            client.sendall(f"POST / HTTP/1.1\r\n{lines}Content-Length: {length}\r\n\r\n".encode() + body)
    assert send(gateway).status == 200


def test_many_callers_at_once(gateway: Gateway, emr: Recorder) -> None:
    """A slow control plane holds up the requests that wait for it, nobody else."""
    release = threading.Event()
    emr_handler = emr.RequestHandlerClass
    original = emr_handler.do_POST

    def slow(handler) -> None:
        release.wait(20)
        original(handler)

    emr_handler.do_POST = slow
    try:
        callers = [threading.Thread(target=send, args=(gateway,)) for _ in range(12)]
        for caller in callers:
            caller.start()
        started = time.monotonic()
        assert gateway.client("sts").get_caller_identity()["Account"] == ACCOUNT
        assert time.monotonic() - started < 5
    finally:
        release.set()
        for caller in callers:
            caller.join(20)
        emr_handler.do_POST = original
    assert len(emr.requests) == 12
