"""Whether this gateway does its work, as Compose asks: `python -m drydock_gateway.healthcheck`.

Puts an object and gets it back, with the operator's key: LocalStack's own health page is green while S3 is broken.
Exit codes: 0 it does; 1 a sentence on stderr says why not.
"""

import json
import os
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

PROBE_BUCKET_PREFIX = "drydock-health-"
"""Of the buckets that a look at the gateway's health makes and removes; scripts/drydock/health.py does so, too."""

TIMEOUT_SECONDS = 5


def main() -> int:
    port = os.environ["GATEWAY_LISTEN"].rpartition(":")[2]
    try:
        check(f"http://127.0.0.1:{port}", json.loads(Path(os.environ["DRYDOCK_OPERATOR_KEY_FILE"]).read_text()))
    except (BotoCoreError, ClientError, OSError, ValueError) as error:
        print(f"S3 does not answer as it should: {error}", file=sys.stderr)
        return 1
    return 0


def check(url: str, key: dict[str, str]) -> None:
    """Raises what botocore raises, or ValueError when S3 gives back something else than it was given."""
    s3: Any = Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id=key["access_key_id"],
        aws_secret_access_key=key["secret_access_key"],
        config=Config(
            connect_timeout=TIMEOUT_SECONDS,
            read_timeout=TIMEOUT_SECONDS,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
        ),
    )
    name, body = f"{PROBE_BUCKET_PREFIX}{uuid.uuid4().hex}", uuid.uuid4().bytes
    s3.create_bucket(Bucket=name)
    try:
        s3.put_object(Bucket=name, Key="probe", Body=body)
        found = s3.get_object(Bucket=name, Key="probe")["Body"].read()
    finally:
        with suppress(ClientError):  # what went wrong before is what has to be told
            s3.delete_object(Bucket=name, Key="probe")
            s3.delete_bucket(Bucket=name)
    if found != body:
        raise ValueError(f"it gave back {len(found)} bytes that are not the {len(body)} that were put")


if __name__ == "__main__":
    sys.exit(main())
