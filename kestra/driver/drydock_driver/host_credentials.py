"""The credentials of the host's role, for AWS's SDKs: what `credential_process` of an AWS configuration runs.

On EC2 an SDK finds its instance's credentials by itself. In Compose the gateway plays the instance's part, and SDKs ask
no other address than loopback for credentials without TLS: so they run this, which asks
DRYDOCK_HOST_CREDENTIALS_URL with the token in DRYDOCK_HOST_CREDENTIALS_TOKEN_FILE and prints what it is given, in the
format that the AWS CLI's documentation calls «Sourcing credentials with an external process».

Standard library only: it runs by whatever Python is on the PATH, and often.
"""

import json
import os
import sys
import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

TIMEOUT_SECONDS = 10


def main() -> int:
    """Exit codes: 0 they are on stdout; 1 a sentence on stderr says why not."""
    try:
        url, token_file = os.environ["DRYDOCK_HOST_CREDENTIALS_URL"], os.environ["DRYDOCK_HOST_CREDENTIALS_TOKEN_FILE"]
    except KeyError as error:
        return _fail(f"the environment variable {error.args[0]} is not set")
    try:
        print(json.dumps(fetch(url, Path(token_file).read_text().strip())))
    except HTTPError as error:  # its own words are in what it answered
        return _fail(f"{url} answers {error.code}: {error.read().decode(errors='replace').strip() or error.reason}")
    except (HTTPException, OSError, ValueError) as error:
        return _fail(str(error) or type(error).__name__)
    return 0


def fetch(url: str, token: str) -> dict[str, object]:
    """The credentials, as `credential_process` wants them.

    Raises OSError (URLError and HTTPError are such) or HTTPException when they cannot be had, ValueError when the
    answer is something else.
    """
    request = urllib.request.Request(url, headers={"Authorization": token})  # noqa: S310 - our own gateway's
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=TIMEOUT_SECONDS) as answer:
        given = json.load(answer)
    try:
        return {
            "Version": 1,
            "AccessKeyId": given["AccessKeyId"],
            "SecretAccessKey": given["SecretAccessKey"],
            "SessionToken": given["Token"],
            "Expiration": given["Expiration"],
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"{url} answers without credentials") from error


def _fail(reason: str) -> int:
    print(f"The credentials of this host's role cannot be had: {reason}.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
