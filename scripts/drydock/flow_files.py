"""The flows of `kestra/flows`, as Kestra gets to know them: whoever adds or changes a file calls `make local-up`.

Kestra's engine reads the folder when it starts; on one that runs, and on Kestra's own server, flows come by its API.
"""

import re
from pathlib import Path

from drydock import executions, flow_registration, output, settings
from drydock.kestra import Kestra

_SCHEDULE = re.compile(r"^([ -]*)type: [\"']?io\.kestra\.plugin\.core\.trigger\.Schedule[\"']? *$", re.MULTILINE)


def register(paths: settings.Paths, ports: settings.Ports, runtime_name: str) -> bool:
    """Have Kestra know all of them, and no longer those whose file is gone; or none when it refuses one. Whether that
    changed anything.

    Raises DrydockError with Kestra's reason for each that it refuses.
    """
    sources = _sources(paths, runtime_name)
    with executions.client(paths, ports) as kestra:
        changed, removed = flow_registration.bring(kestra, sources, registered_note(paths, runtime_name))
    if changed:
        output.done(f"Flows: {len(changed)} of {len(sources)} registered anew ({', '.join(changed)})")
    if removed:
        output.done(f"Flows: {len(removed)} removed, whose files are gone ({', '.join(removed)})")
    return bool(changed or removed)


def registered_note(paths: settings.Paths, runtime_name: str) -> Path:
    """The file that says which flows a platform was told of: others were made by somebody else, and stay."""
    return paths.home / f"flows-{runtime_name}.json"


def unregistered(kestra: Kestra, paths: settings.Paths, runtime_name: str) -> list[str]:
    """The files of those that Kestra does not know, or knows as they were."""
    return [name for name, source in _sources(paths, runtime_name).items() if not kestra.knows(source)]


def without_schedules(source: str) -> str:
    """The flow with each of its schedules disabled."""
    return _SCHEDULE.sub(lambda found: f"{found[0]}\n{' ' * len(found[1])}disabled: true", source)


def _sources(paths: settings.Paths, runtime_name: str) -> dict[str, str]:
    """By file. Of local processes the engine itself is told whether schedules fire."""
    sources = flow_registration.sources(paths.flows)
    if runtime_name == settings.PROCESS or settings.schedules():
        return sources
    return {name: without_schedules(source) for name, source in sources.items()}
