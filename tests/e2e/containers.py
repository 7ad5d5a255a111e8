"""What the docker CLI tells of containers and does to them."""

import subprocess

from testcontainers.compose import ComposeContainer

SERVICES = (
    "gateway",
    "postgres",
    "emr",
    "spark-master",
    "spark-worker-1",
    "spark-worker-2",
    "history-server",
    "kestra",
)


def docker(*arguments: str) -> str:
    """What `docker ARGUMENTS` prints. Raises CalledProcessError."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def inspected(container: ComposeContainer, template: str) -> str:
    """Of what `docker inspect` knows, by a Go template."""
    return docker("inspect", "--format", template, str(container.ID))


def started_at(container: ComposeContainer) -> str:
    """When its processes were started last."""
    return inspected(container, "{{.State.StartedAt}}")


def kill_everything_in(container: ComposeContainer) -> None:
    """All processes of the container's user at once, by SIGKILL.

    From inside, for `docker kill` is an order to Docker, which then does not start it again. Its init cannot be killed
    so, and ends with what it had started.
    """
    user = ["--user=postgres"] if container.Service == "postgres" else []
    command = ["docker", "exec", *user, str(container.ID), "sh", "-c", "kill -9 -1"]
    subprocess.run(command, capture_output=True, check=False)  # the shell itself may be among them
