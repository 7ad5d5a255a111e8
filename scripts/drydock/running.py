"""Whether there is a platform to act on."""

from collections.abc import Iterable

from drydock import services, settings, terraform
from drydock.errors import NotRunning
from drydock.supervision import Supervisor


def require_running(paths: settings.Paths, ports: settings.Ports) -> None:
    """Raises NotRunning unless every service is up and the gateway holds what Terraform made there."""
    require_up(paths)
    if reason := terraform.why_not_applied(paths, ports):
        raise NotRunning(f"The gateway is up, but {reason}.")


def require_up(paths: settings.Paths, names: Iterable[str] | None = None) -> None:
    """Raises NotRunning unless each of these services (None: all) has a process. Asks none of them anything."""
    supervisor = Supervisor(paths)
    states = supervisor.states() if supervisor.is_running() else {}
    needed = services.names(paths) if names is None else names
    if down := [name for name in needed if name not in states or not states[name].is_up]:
        raise NotRunning(f"The platform does not run ({', '.join(down)} not up). `make local-up` starts it.")
