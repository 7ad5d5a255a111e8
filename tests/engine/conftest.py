"""One engine for the session, and new ones for what needs an end or a file of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drydock.kestra import Kestra
from tests.engine.engine_rig import Engine

PROCESS = """
    type: io.kestra.plugin.scripts.shell.Commands
    taskRunner:
      type: io.kestra.plugin.core.runner.Process
"""

SAY = f"""
inputs:
  - id: word
    type: STRING
    defaults: hello
    validator: "[a-z]+"
  - id: day
    type: DATE
    required: false
tasks:
  - id: say{PROCESS}    env:
      WORD: "{{{{ inputs.word }}}}"
    commands:
      - echo "$WORD there"
      - 'echo "::{{\\"outputs\\":{{\\"word\\":\\"$WORD\\"}}}}::"'
outputs:
  - id: word
    type: STRING
    value: "{{{{ outputs.say.vars.word }}}}"
"""

FAIL = f"""
tasks:
  - id: breaks{PROCESS}    commands:
      - echo it is broken >&2
      - exit 3
finally:
  - id: afterwards
    type: io.kestra.plugin.core.log.Log
    message: cleaned up
"""

HANG = f"""
tasks:
  - id: hangs{PROCESS}    commands:
      - exec sleep 1000
"""

TICK = """
triggers:
  - id: ticks
    type: io.kestra.plugin.core.trigger.Schedule
    cron: "* * * * * *"
    withSeconds: true
    recoverMissedSchedules: NONE
tasks:
  - id: tell
    type: io.kestra.plugin.core.log.Log
    message: "{{ trigger.date }}"
"""


@pytest.fixture
def new_engine(tmp_path: Path) -> Iterator[Engine]:
    """One that has not been started; it ends with its test."""
    engine = Engine(tmp_path / "engine")
    yield engine
    if engine.process is not None and engine.lives():
        engine.kill()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("engine") / "engine")
    for name, text in {"say": SAY, "fail": FAIL, "hang": HANG}.items():
        engine.flow(name, text)
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def client(engine: Engine) -> Iterator[Kestra]:
    with engine.client() as client:
        yield client
