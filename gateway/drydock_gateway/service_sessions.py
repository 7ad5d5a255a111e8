"""`POST /_drydock/service-sessions`: the credentials that AWS's own services get by assuming a role.

On AWS, EC2 assumes the role in an instance profile and EMR its service role, as service principals; nobody outside
can. Here the gateway plays the service, for the control plane alone, and under the same rule: the role's trust policy
has to let the service assume it. The session is issued by LocalStack's STS, so that it is a caller like any other
afterwards: `sts get-caller-identity` shows `arn:aws:sts::<account>:assumed-role/<role>/<session name>`.

Request   {"service", "account_id", "region", "role" | "instance_profile": name or ARN, "session_name",
           "duration_seconds"}
200       {"AccessKeyId", "SecretAccessKey", "Token", "Expiration", "RoleArn"}
400       ValidationError   401 no valid token   403 AccessDenied, the trust policy   404 NoSuchEntity
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localstack.services.plugins import SERVICE_PLUGINS

from drydock_gateway.errors import NoSuchEntity, NotTrusted
from drydock_gateway.keyring import PARTITION
from drydock_gateway.tokens import TokenError, check_from_emr
from drydock_gateway.trust import may_assume

PATH = "/_drydock/service-sessions"
SERVICES = ("ec2.amazonaws.com", "elasticmapreduce.amazonaws.com")
DURATION_SECONDS = range(900, 43_201)  # STS's bounds of AssumeRole


@dataclass(frozen=True)
class SessionRequest:
    service: str
    account_id: str
    region: str
    session_name: str
    duration_seconds: int
    role: str | None
    instance_profile: str | None

    @property
    def trust_context(self) -> dict[str, str]:
        """The condition keys that EMR sets against confused deputies; EC2 sets none.

        EMR acts for one cluster, after which its session is named.
        """
        if self.service != "elasticmapreduce.amazonaws.com":
            return {}
        cluster = f"arn:{PARTITION}:elasticmapreduce:{self.region}:{self.account_id}:cluster/{self.session_name}"
        return {"aws:sourceaccount": self.account_id, "aws:sourcearn": cluster}


class ServiceSessions:
    def __init__(self, gateway_secret: str, issuer: "Issuer") -> None:
        self._secret = gateway_secret
        self._issuer = issuer

    def respond(self, authorization: str | None, body: bytes) -> tuple[int, dict[str, str]]:
        """Status and JSON document for a request that carries `authorization` and `body`."""
        try:
            check_from_emr(self._secret, authorization, body)
            return 200, self._issuer.issue(_parse(body))
        except TokenError as error:
            return 401, {"error": "Unauthorized", "message": f"Only the control plane may ask for sessions: {error}."}
        except ValueError as error:
            return 400, {"error": "ValidationError", "message": str(error)}
        except NoSuchEntity as error:
            return 404, {"error": "NoSuchEntity", "message": str(error)}
        except NotTrusted as error:
            return 403, {"error": "AccessDenied", "message": str(error)}


class Issuer:
    """Gives sessions to services. `save` puts STS's state on disk."""

    def __init__(self, save: Callable[[], None]) -> None:
        self._save = save

    def issue(self, request: SessionRequest) -> dict[str, str]:
        """A session of the role, in the container-credentials format. Raises NoSuchEntity or NotTrusted."""
        # Loads LocalStack's providers, whose patches decide how key ids are made, before their models are used.
        SERVICE_PLUGINS.require("iam")
        SERVICE_PLUGINS.require("sts")
        from moto.sts.models import sts_backends

        role = _role(request)
        if not may_assume(role.assume_role_policy_document, request.service, request.trust_context):
            raise NotTrusted(
                f"User: {request.service} is not authorized to perform: sts:AssumeRole on resource: {role.arn}. "
                "The role's trust policy does not allow it."
            )
        session = sts_backends[request.account_id][PARTITION].assume_role(
            region_name=request.region,
            role_session_name=request.session_name,
            role_arn=role.arn,
            policy=None,
            duration=request.duration_seconds,
            external_id=None,
        )
        self._save()
        return {
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret_access_key,
            "Token": session.session_token,
            "Expiration": session.expiration.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "RoleArn": role.arn,
        }


def _role(request: SessionRequest) -> Any:
    """The role asked for, by its name, its ARN, or the instance profile it is in."""
    from moto.iam.models import iam_backends

    if request.account_id not in iam_backends:
        raise NoSuchEntity(f"The account {request.account_id} has no roles.")
    backend = iam_backends[request.account_id][PARTITION]
    if request.instance_profile is not None:
        profile = _named(list(backend.instance_profiles.values()), request.instance_profile)
        if profile is None:
            raise NoSuchEntity(f"Instance Profile {request.instance_profile} cannot be found.")
        if not profile.roles:
            raise NoSuchEntity(f"Instance Profile {request.instance_profile} has no role.")
        return profile.roles[0]
    role = _named(list(backend.roles.values()), request.role or "")
    if role is None:
        raise NoSuchEntity(f"The role with name {request.role} cannot be found.")
    return role


def _named(entities: list[Any], name_or_arn: str) -> Any:
    is_arn = name_or_arn.startswith("arn:")
    return next((each for each in entities if (each.arn if is_arn else each.name) == name_or_arn), None)


def _parse(body: bytes) -> SessionRequest:
    """Raises ValueError with a sentence."""
    try:
        document = json.loads(body)
    except ValueError as error:
        raise ValueError(f"The request is not JSON: {error}.") from error
    if not isinstance(document, dict):
        raise ValueError("The request has to be a JSON object.")  # noqa: TRY004 - one kind of error for the caller

    def text(name: str, pattern: str) -> str:
        value = document.get(name)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(f"{name} is {value!r}; it has to match {pattern}.")
        return value

    def optional_text(name: str) -> str | None:
        return text(name, "(?s:.+)") if document.get(name) is not None else None

    role, instance_profile = optional_text("role"), optional_text("instance_profile")
    if (role is None) == (instance_profile is None):
        raise ValueError("Exactly one of role and instance_profile has to be given.")
    duration = document.get("duration_seconds")
    if type(duration) is not int or duration not in DURATION_SECONDS:
        raise ValueError(
            f"duration_seconds is {duration!r}; it has to be a whole number from "
            f"{DURATION_SECONDS.start} to {DURATION_SECONDS.stop - 1}."
        )
    return SessionRequest(
        service=text("service", "|".join(map(re.escape, SERVICES))),
        account_id=text("account_id", r"\d{12}"),
        region=text("region", r"[a-z]{2}(-[a-z]+)+-\d"),
        session_name=text("session_name", r"[\w+=,.@-]{2,64}"),
        duration_seconds=duration,
        role=role,
        instance_profile=instance_profile,
    )
