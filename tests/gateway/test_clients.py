"""Programs other than boto3, as their users run them."""

import os
import subprocess
from pathlib import Path

from drydock.settings import Paths

from .rig import ACCOUNT, OPERATOR_ARN, REGION, Gateway

AWS = Paths().environment("workspace") / "bin" / "aws"


def aws(gateway: Gateway, *arguments: str, home: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.defpath,
        "HOME": str(home),
        "AWS_ENDPOINT_URL": gateway.url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": gateway.operator["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": gateway.operator["secret_access_key"],
        "AWS_MAX_ATTEMPTS": "1",
        **changes,
    }
    return subprocess.run([AWS, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_aws_cli(gateway: Gateway, bucket: str, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(9 << 20))
    key = f"s3://{bucket}/cli/a b+c%20/ä"
    for arguments in (("cp", str(source), key), ("cp", key, str(target)), ("rm", key)):
        run = aws(gateway, "s3", *arguments, home=tmp_path)
        assert run.returncode == 0, run.stderr
    assert target.read_bytes() == source.read_bytes()

    run = aws(gateway, "sts", "get-caller-identity", "--query", "Arn", "--output", "text", home=tmp_path)
    assert run.stdout.strip() == OPERATOR_ARN
    run = aws(gateway, "emr", "list-clusters", home=tmp_path)
    assert run.returncode == 0, run.stderr
    assert gateway.emr.requests[-1].claims["account"] == ACCOUNT


def test_presigned_by_the_aws_cli(gateway: Gateway, bucket: str, tmp_path: Path) -> None:
    gateway.client("s3").put_object(Bucket=bucket, Key="shared file", Body=b"shared")
    (tmp_path / "config").write_text("[default]\ns3 =\n  signature_version = s3v4\n")
    config = {"AWS_CONFIG_FILE": str(tmp_path / "config")}
    url = aws(gateway, "s3", "presign", f"s3://{bucket}/shared file", home=tmp_path, **config).stdout.strip()
    answer = gateway.send("GET", url.removeprefix(gateway.url))
    assert (answer.status, answer.body) == (200, b"shared")


def test_aws_cli_with_a_wrong_secret(gateway: Gateway, tmp_path: Path) -> None:
    run = aws(gateway, "s3", "ls", home=tmp_path, AWS_SECRET_ACCESS_KEY="test")
    assert run.returncode != 0
    assert "SignatureDoesNotMatch" in run.stderr
    run = aws(gateway, "s3", "ls", home=tmp_path, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test")
    assert "InvalidAccessKeyId" in run.stderr
    run = aws(gateway, "s3", "ls", "--no-sign-request", home=tmp_path)
    assert "AccessDenied" in run.stderr
