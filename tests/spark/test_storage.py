"""Folders on disk and on S3: the same behaviour, and on S3 with no more than a step's environment has."""

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from local_s3 import OPERATOR

from shipments.errors import StorageError
from shipments.storage import open_folder

TOKEN = "a token of the node"
CREDENTIALS = {
    "AccessKeyId": OPERATOR["access_key_id"],
    "SecretAccessKey": OPERATOR["secret_access_key"],
    "Token": "",  # a long-lived key has none; botocore wants it named all the same
    "Expiration": "2099-01-01T00:00:00Z",
}


class CredentialsEndpoint(BaseHTTPRequestHandler):
    """AWS's container credentials endpoint: credentials for whoever shows the token."""

    def do_GET(self):
        known = self.headers["Authorization"] == TOKEN
        self.server.asked.append(known)
        body = json.dumps(CREDENTIALS if known else {}).encode()
        self.send_response(200 if known else 403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def credentials_endpoint():
    with ThreadingHTTPServer(("127.0.0.1", 0), CredentialsEndpoint) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def s3(monkeypatch, s3_endpoint, credentials_endpoint, tmp_path):
    """The environment of a step: an endpoint and container credentials; no key, no region, no profile."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    endpoint = f"http://127.0.0.1:{credentials_endpoint.server_port}/credentials"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", endpoint)
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN)
    from shipments.storage import _s3

    _s3.cache_clear()
    bucket = f"bucket-{time.monotonic_ns()}"
    _s3().create_bucket(Bucket=bucket)
    yield f"s3://{bucket}/a prefix/ship_date=2026-01-31"
    _s3().close()
    _s3.cache_clear()


@pytest.fixture(params=["file", "s3"])
def folder(request, tmp_path):
    uri = f"{tmp_path.as_uri()}/raw/ship_date=2026-01-31" if request.param == "file" else request.getfixturevalue("s3")
    return open_folder(uri)


def test_what_is_written_is_read_listed_and_deleted(folder):
    assert folder.sizes() == {}
    folder.write("one", b"1")
    folder.write("two", b"22")
    folder.write("two", b"222")
    open_folder(f"{folder.uri}/below").write("three", b"3")
    assert folder.sizes() == {"one": 1, "two": 3}
    assert folder.read("two") == b"222"
    folder.delete("one")
    folder.delete("never there")
    assert folder.sizes() == {"two": 3}
    with pytest.raises(FileNotFoundError):
        folder.read("one")


def test_many_objects_are_listed(s3):
    # Not below ship_date=…: of keys that URL encoding changes, LocalStack 4.12 lists the first thousand alone.
    folder = open_folder(s3.partition("/a prefix")[0] + "/many")
    for number in range(1_010):
        folder.write(f"{number}", b"")
    assert len(folder.sizes()) == 1_010


def test_credentials_come_from_the_container_endpoint(s3, credentials_endpoint):
    open_folder(s3).sizes()
    assert credentials_endpoint.asked
    assert all(credentials_endpoint.asked)


def test_a_bucket_that_is_not_there_is_a_sentence(s3):
    with pytest.raises(StorageError, match=r"Could not write s3://no-such-bucket/raw/one: .*NoSuchBucket"):
        open_folder("s3://no-such-bucket/raw").write("one", b"")
    with pytest.raises(StorageError, match=r"Could not list s3://no-such-bucket/raw"):
        open_folder("s3://no-such-bucket/raw").sizes()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match=r"Could not write file:.*/file/below/one: Not a directory"):
        open_folder(f"{(tmp_path / 'file').as_uri()}/below").write("one", b"")
