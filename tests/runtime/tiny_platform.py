"""Platforms of tiny services, and a command that brings one up: `python tiny_platform.py HOME SERVICES`.

SERVICES is a JSON list of what `tiny` takes. Exits like `drydock local-up`.
"""

import json
import sys
from functools import partial
from pathlib import Path

import httpx

from drydock import interrupts, lock, output, processes, settings, startup
from drydock.errors import DrydockError
from drydock.health import Unhealthy
from drydock.ports import Listener
from drydock.services import Service, base_environment

PROGRAM = Path(__file__).with_name("tiny_service.py")


def tiny(paths, name, wave, port, *, start_seconds=20, **variables) -> Service:
    """A service that listens on `port`. `variables`: those of `tiny_service`, without their prefix, in lower case."""
    return Service(
        name=name,
        wave=wave,
        command=(sys.executable, str(PROGRAM)),
        environment={
            **base_environment(paths),
            "TINY_PORT": str(port),
            "TINY_NOTES": str(paths.home / f"{name}.notes"),
            **{f"TINY_{key.upper()}": str(value) for key, value in variables.items()},
        },
        directory=paths.home,
        listeners=(Listener("127.0.0.1", port, name),),
        check=partial(answers, port),
        url=f"http://127.0.0.1:{port}",
        start_seconds=start_seconds,
        stop_seconds=5,
    )


def answers(port) -> None:
    try:
        httpx.get(f"http://127.0.0.1:{port}", trust_env=False, timeout=2).raise_for_status()
    except httpx.HTTPError as error:
        raise Unhealthy(f"no answer: {type(error).__name__}") from error


def notes(paths, name) -> dict:
    """What a tiny service noted when it last listened."""
    return json.loads((paths.home / f"{name}.notes").read_text())


def alive(pid) -> bool:
    return any(process.pid == pid for process in processes.psutil.process_iter()) and (
        processes.psutil.Process(pid).status() != processes.psutil.STATUS_ZOMBIE
    )


def main() -> None:
    paths = settings.Paths(Path(sys.argv[1]))
    services = [tiny(paths, **service) for service in json.loads(sys.argv[2])]
    try:
        with lock.exclusive(paths, "local-up"), interrupts.interruptible():
            startup.bring_up(paths, services)
    except DrydockError as error:
        output.fail(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
