"""`submit` of programs that the platform knows nothing of: one that does its work, and one that fails."""

import subprocess
from pathlib import Path

from drydock import settings
from tests.platform.platform_rig import DRYDOCK, Platform

FAILING = """
import sys
print(ascii(sys.argv[1:]))
raise ValueError("the harbour is closed")
"""


def test_the_example_runs_and_its_stdout_is_all_there_is_on_stdout(platform: Platform) -> None:
    ended = _submit(platform, "examples/word_count.py", "--lines 1000 --top 2")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["Counted by Spark 3.5.6:", "     2,000  the", "       750  a"]
    assert "Command exiting with ret '0'" in ended.stderr.splitlines()
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("✓ examples/word_count.py is done, after ")
    _assert_nothing_is_left(platform)
    cluster_id = last.split()[-1].rstrip(".")
    cluster = platform.client("emr").describe_cluster(ClusterId=cluster_id)["Cluster"]
    assert cluster["Status"]["State"] == "TERMINATED"
    assert cluster["Name"].startswith("drydock-submit-word_count-")


def test_a_program_that_fails_has_its_arguments_byte_for_byte_and_its_last_lines_shown(
    platform: Platform, tmp_path: Path
) -> None:
    program = tmp_path / "my job (1).py"
    program.write_text(FAILING)
    ended = _submit(
        platform, str(program), r"""--a 'b  c' '' "é'x" {application_uri} '$HOME' * 'a""" + "\n" + r"""b' \\n"""
    )
    assert ended.returncode == 1
    lines = ended.stdout.splitlines()
    assert lines[0] == r"""['--a', 'b  c', '', "\xe9'x", '{application_uri}', '$HOME', '*', 'a\nb', '\\n']"""
    assert lines[-1] == "ValueError: the harbour is closed"
    assert "Command exiting with ret '1'" in ended.stderr.splitlines()
    last = ended.stderr.splitlines()[-1]
    assert last.startswith(f"✗ Running {program} on cluster j-")
    assert "(submit-my-job-1 " in last
    assert "is FAILED" in last
    assert last.endswith("No cluster of this run is alive.")
    assert "Traceback" not in ended.stderr
    _assert_nothing_is_left(platform)


def _submit(platform: Platform, job: str, args: str) -> "subprocess.CompletedProcess[str]":
    """Run the verb with its two streams apart."""
    return subprocess.run(
        [DRYDOCK, "submit", f"--job={job}", f"--args={args}"],
        cwd=settings.REPOSITORY,
        env=platform.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def _assert_nothing_is_left(platform: Platform) -> None:
    """No cluster, no process of a step, and no program in the input bucket."""
    platform.assert_nothing_runs()
    listed = platform.client("s3").list_objects_v2(Bucket="spark-job-data-input", Prefix="spark_app/")
    assert [item["Key"] for item in listed["Contents"] if "/submitted/" in item["Key"]] == []
