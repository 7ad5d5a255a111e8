"""Output whose reader is gone: the command ends as a failure, quietly. Lines of others' programs, as they are."""

import os
import pty
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


# As `make submit … > file` in a terminal: a spinner on stderr, and a program's own lines on stdout.
PASSING_ON = """
import sys
from drydock import output
with output.stage("working", output.ERRORS) as tell:
    tell("more")
    output.pass_on("a\\tb  [bold]\\x1b[1m é :smile:")
    output.pass_on("an error", stderr=True)
assert "rich" not in type(sys.stdout).__module__
"""


def test_a_program_s_lines_stay_as_they_are_and_on_their_stream() -> None:
    terminal, slave = pty.openpty()
    try:
        for stderr in (slave, subprocess.PIPE):
            ended = subprocess.run(
                [sys.executable, "-c", PASSING_ON],
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=os.environ | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"},
                check=True,
                timeout=60,
            )
            assert ended.stdout == "a\tb  [bold]\x1b[1m é :smile:\n".encode()
        assert ended.stderr.decode().splitlines() == ["… working", "an error"]
    finally:
        os.close(slave)
        os.close(terminal)


def test_a_reader_of_a_program_s_lines_that_is_gone() -> None:
    writer = _pipe_without_reader()
    try:
        program = "from drydock import output; output.pass_on('a line')"
        ended = subprocess.run(
            [sys.executable, "-c", program], stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "")
