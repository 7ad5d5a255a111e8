"""`python3 -m drydock.flow_registration URL PASSWORD_FILE FOLDER NOTE`: a deployment's flows, to its host's Kestra.

Kestra knows those of FOLDER afterwards, and no longer those that an earlier deployment brought and this one has not;
what somebody has made in its pages is left alone. NOTE is a file that remembers what was brought. Exit codes: 0 it
knows them; 1 it does not, and the last line says why.

It runs in Kestra's image, of whose Python it needs what the driver needs.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from drydock import kestra
from drydock.errors import DrydockError
from drydock.kestra import Kestra


def main() -> int:
    url, password_file, folder, note = sys.argv[1:]
    flows = sources(Path(folder))
    try:
        with kestra.client(url, Path(password_file)) as running:
            changed, removed = bring(running, flows, Path(note))
    except DrydockError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(flows)} flows, of which {len(changed)} were new or different; {len(removed)} removed.")
    return 0


def sources(folder: Path) -> dict[str, str]:
    """The flows of a folder, by the names of their files. Raises DrydockError for a name that would be passed over."""
    if others := sorted(file.name for file in folder.glob("*.yml")):
        raise DrydockError(f"{folder} has {', '.join(others)}: flows are files whose names end with .yaml.")
    return {file.name: file.read_text() for file in sorted(folder.glob("*.yaml"))}


def bring(running: Kestra, sources: Mapping[str, str], note: Path) -> tuple[list[str], list[str]]:
    """The files of the flows that were new or different, and the ids of those that were removed. Raises DrydockError,
    before anything is changed when Kestra refuses one."""
    require_valid(running, sources)
    wanted = {kestra.name_of(source) for source in sources.values()}
    brought = {(namespace, flow) for namespace, flow in json.loads(note.read_text())} if note.exists() else set()
    # Whoever is interrupted in between has brought some of both.
    _write(note, brought | wanted)
    changed = [name for name, source in sources.items() if running.register(source)]
    removed = [flow for namespace, flow in sorted(brought - wanted) if running.delete(namespace, flow)]
    _write(note, wanted)
    return changed, removed


def require_valid(running: Kestra, sources: Mapping[str, str]) -> None:
    """Raises DrydockError, with Kestra's reason for each flow that it would refuse."""
    reasons = {name: running.validate(source) for name, source in sources.items()}
    if refused := [f"    {name}: {reason}" for name, reason in reasons.items() if reason]:
        raise DrydockError("\n".join(["Kestra refuses flows:", *refused]))


def _write(note: Path, names: set[tuple[str, str]]) -> None:
    draft = note.with_suffix(".draft")
    draft.write_text(json.dumps(sorted(names)))
    draft.replace(note)


if __name__ == "__main__":
    sys.exit(main())
