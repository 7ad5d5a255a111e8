"""Output whose reader is gone: the command ends as a failure, quietly."""

import os
import subprocess
import sys

# Both consoles, as a command that fails uses them: news, then, on the way out, why.
COMMAND = """
from drydock import output
try:
    output.say("news")
finally:
    output.fail("why not")
"""


def _run(stdout: int, stderr: int) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", COMMAND], stdout=stdout, stderr=stderr, text=True, check=False, timeout=60
    )


def _pipe_without_reader() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def test_a_reader_of_both_streams_that_is_gone() -> None:
    writer = _pipe_without_reader()
    try:
        assert _run(writer, writer).returncode == 1
    finally:
        os.close(writer)


def test_errors_are_still_shown_when_only_the_reader_of_the_news_is_gone() -> None:
    writer = _pipe_without_reader()
    try:
        ended = _run(writer, subprocess.PIPE)
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "✗ why not\n")
