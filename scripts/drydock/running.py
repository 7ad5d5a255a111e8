"""Whether there is a platform to act on."""

from drydock import services, settings, terraform
from drydock.errors import NotRunning
from drydock.supervision import Supervisor


def require_running(paths: settings.Paths, ports: settings.Ports) -> None:
    """Raises NotRunning unless every service is up and the gateway holds what Terraform made there."""
    require_up(paths)
    if reason := terraform.why_not_applied(paths, ports):
        raise NotRunning(f"The gateway is up, but {reason}.")


def require_up(paths: settings.Paths) -> None:
    """Raises NotRunning unless every service has a process. Asks none of them anything."""
    supervisor = Supervisor(paths)
    states = supervisor.states() if supervisor.is_running() else {}
    down = [name for name in services.names(paths) if name not in states or not states[name].is_up]
    if down:
        raise NotRunning(f"The platform does not run ({', '.join(down)} not up). `make local-up` starts it.")
