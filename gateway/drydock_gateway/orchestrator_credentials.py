"""`GET /_drydock/orchestrator-credentials`: who the orchestrator's host is.

On AWS Kestra runs on an EC2 instance, and what its flows start finds the credentials of the role in the instance's
profile. Here it finds them where SDKs look on ECS and EKS (`AWS_CONTAINER_CREDENTIALS_FULL_URI`), under the same rule:
the role's trust policy has to let EC2 assume it. Only who has the install's token is that host.

200       {"AccessKeyId", "SecretAccessKey", "Token", "Expiration", "RoleArn"}
401       no valid token   403 AccessDenied, the trust policy   404 NoSuchEntity
"""

import hmac

from drydock_gateway.errors import NoSuchEntity, NotTrusted
from drydock_gateway.service_sessions import Issuer, SessionRequest

PATH = "/_drydock/orchestrator-credentials"
REGION = "us-east-1"  # STS's own; its sessions are good in every region
SESSION_NAME = "orchestrator"
DURATION_SECONDS = 3600  # SDKs ask anew some minutes before the end


class OrchestratorCredentials:
    """Credentials of `role` in `account_id`, for who knows `token`."""

    def __init__(self, token: str, account_id: str, role: str, issuer: Issuer) -> None:
        self._token = token
        self._issuer = issuer
        self._request = SessionRequest(
            service="ec2.amazonaws.com",
            account_id=account_id,
            region=REGION,
            session_name=SESSION_NAME,
            duration_seconds=DURATION_SECONDS,
            role=role,
            instance_profile=None,
        )

    def respond(self, authorization: str | None) -> tuple[int, dict[str, str]]:
        """Status and JSON document for a request that carries `authorization`."""
        if not hmac.compare_digest((authorization or "").encode(), self._token.encode()):
            return 401, {"error": "Unauthorized", "message": "Only the orchestrator's host has these credentials."}
        try:
            return 200, self._issuer.issue(self._request)
        except NoSuchEntity as error:
            return 404, {"error": "NoSuchEntity", "message": str(error)}
        except NotTrusted as error:
            return 403, {"error": "AccessDenied", "message": str(error)}
