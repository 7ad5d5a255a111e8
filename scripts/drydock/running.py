"""Whether there is a platform to act on."""

from collections.abc import Iterable

from drydock import runtime, settings, terraform
from drydock.errors import NotRunning


def require_running(paths: settings.Paths, ports: settings.Ports) -> None:
    """Raises NotRunning unless every service is up and the gateway holds what Terraform made there."""
    require_up(paths, ports)
    if reason := terraform.why_not_applied(paths, ports):
        raise NotRunning(f"The gateway is up, but {reason}.")


def require_up(paths: settings.Paths, ports: settings.Ports, names: Iterable[str] | None = None) -> None:
    """Raises NotRunning unless each of these services (None: all) runs. Asks none of them anything."""
    platform = runtime.of(paths, ports)
    states = platform.states() if platform.is_running() else {}
    needed = platform.names() if names is None else names
    if down := [name for name in needed if name not in states or not states[name].is_up]:
        raise NotRunning(f"The platform does not run ({', '.join(down)} not up). `make local-up` starts it.")
