"""`make -s env`: shell exports with which the aws CLI, boto3, Terraform and browsers find the running platform, and the
shell finds an aws CLI."""

import os
import shlex

from drydock import secrets, settings
from drydock.running import require_up
from drydock.site import PLATFORM_CONFIG_URI

# Of the caller's own AWS: each would lead a client away from the platform, or spoil its signature.
UNSET = (
    *("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION"),
    *(f"AWS_ENDPOINT_URL_{service}" for service in ("S3", "IAM", "STS", "EC2", "EMR")),
    *("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"),
)
PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def env() -> None:
    """Print the exports, and what the shell has to forget, and nothing else, to standard output.

    Raises NotRunning when gateway or EMR is not up.
    """
    paths, ports = settings.Paths(), settings.Ports()
    require_up(paths, ports, ("gateway", "emr"))
    print(f"unset {' '.join(UNSET)}")
    for name, value in exports(paths, ports).items():
        print(f"export {name}={shlex.quote(value)}")


def exports(paths: settings.Paths, ports: settings.Ports) -> dict[str, str]:
    """The variables, by name. They hold secrets: never print them elsewhere."""
    key = secrets.operator_key(paths)
    programs = str(paths.environment("workspace") / "bin")  # last: whoever has an aws CLI of their own goes on with it
    path = [each for each in os.environ.get("PATH", os.defpath).split(os.pathsep) if each != programs]
    no_proxy = {name: os.environ[name] for name in ("NO_PROXY", "no_proxy") if name in os.environ}
    return {
        "AWS_ENDPOINT_URL": ports.gateway_url,
        "AWS_ACCESS_KEY_ID": key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        "AWS_DEFAULT_REGION": settings.REGION,
        "DRYDOCK_PLATFORM_CONFIG": PLATFORM_CONFIG_URI,
        "KESTRA_URL": ports.kestra_url,
        "KESTRA_USERNAME": settings.KESTRA_USERNAME,
        "KESTRA_PASSWORD": secrets.kestra_password(paths),
        "EMR_CONSOLE_URL": f"{ports.emr_url}/?token={secrets.console_token(paths)}",
        "DRYDOCK_HOME": str(paths.home),
        "PATH": os.pathsep.join([*path, programs]),
        **(no_proxy if any(os.environ.get(name) for name in PROXIES) else {}),
    }
