"""`submit`: what it makes of JOB and ARGS, and what stays behind in S3. Running it for real: tests/platform."""

import shlex
from contextlib import AbstractContextManager
from datetime import date
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import example, given
from hypothesis import strategies as st

from drydock import aws, settings, site, submit
from drydock.errors import NotRunning, RunFailed, ServiceFailed, UsageError
from drydock_driver.cluster import JobRun

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(words=st.lists(TEXT))
@example(words=["", "a b", "'", '"', "\\", "$HOME", "`id`", "{application_uri}", "#", "-", "--", "*", "é\n\t"])
def test_arguments_are_split_as_a_shell_does_and_nothing_is_expanded(words: list[str]) -> None:
    assert submit.split_arguments(shlex.join(words)) == tuple(words)


def test_arguments_as_one_writes_them() -> None:
    assert submit.split_arguments("""--top 5  --where "a = 'b c'" x\\ y""") == (
        "--top",
        "5",
        "--where",
        "a = 'b c'",
        "x y",
    )
    assert submit.split_arguments("") == ()


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ("it's", "ARGS is `it's`, which no shell could split: No closing quotation."),
        ("\udcff", "ARGS has bytes that are not UTF-8"),
        ("x" * 10_001, "ARGS has 10,001 characters; EMR takes 10,000 at most."),
    ],
)
def test_arguments_that_cannot_be_sent_are_refused(args: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refusal:
        submit.split_arguments(args)
    assert sentence in str(refusal.value)


def test_a_program_is_read_as_it_is(tmp_path: Path) -> None:
    program = tmp_path / "job.py"
    program.write_bytes(b"print('\xff')\r\n")
    assert submit.read_program(str(program)) == b"print('\xff')\r\n"


@pytest.mark.parametrize(
    ("job", "sentence"),
    [
        (
            "",
            "JOB is missing; expected the path of a PySpark program, such as `make submit JOB=examples/word_count.py`.",
        ),
        ("no/such/job.py", "JOB is `no/such/job.py`, which is not there (in `"),
        ("a-folder.py", "JOB is `a-folder.py`, which is no regular file (in `"),
        ("job.jar", "JOB is `job.jar`; expected a PySpark program, whose name ends in `.py`"),
    ],
)
def test_what_is_no_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-folder.py").mkdir()
    with pytest.raises(UsageError) as refusal:
        submit.submit(job)
    assert sentence in str(refusal.value)


def test_the_example_that_is_named_is_there() -> None:
    [path] = [word for word in submit.EXAMPLE.strip("`").replace("JOB=", "").split() if word.endswith(".py")]
    assert (settings.REPOSITORY / path).is_file()


def test_a_platform_that_does_not_run_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))
    (tmp_path / "job.py").write_text("")
    with pytest.raises(NotRunning, match=r"The platform does not run .* `make local-up` starts it\."):
        submit.submit(str(tmp_path / "job.py"))


@given(stem=TEXT.filter(lambda text: "/" not in text))
@example(stem="Word Count (2)")
@example(stem="..")
@example(stem="x" * 300)
def test_any_file_s_name_makes_a_key_and_a_cluster_s_name(stem: str) -> None:
    job = f"some/where/{stem}.py"
    assert set(submit.program_name(job)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert submit.program_name(job).endswith(".py")
    JobRun(submit.job_name(job), date(2026, 11, 21), "0a1b2c3d")  # raises what is no job's name


class Bucket:
    """An S3 that remembers; the next request fails when it is told so."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}
        self.error: Exception | None = None

    def put_object(self, *, Bucket: str, Key: str, Body: bytes) -> None:  # noqa: N803 - boto3's names
        self._fail()
        self.objects[Bucket, Key] = Body

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803
        self._fail()
        del self.objects[Bucket, Key]

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    bucket = Bucket()
    monkeypatch.setattr(aws, "operator_client", lambda *_: bucket)
    monkeypatch.setattr(site.Site, "platform_config", lambda _: {"application_uri": "s3://input/spark_app"})
    return bucket


def _uploaded() -> AbstractContextManager[str]:
    return submit.uploaded(settings.Paths(), settings.Ports(0), "0a1b2c3d", "job.py", b"a program")


def test_the_program_is_where_clusters_may_read_and_gone_afterwards(bucket: Bucket) -> None:
    with _uploaded() as uri:
        assert uri == "s3://input/spark_app/submitted/0a1b2c3d/job.py"
        assert bucket.objects == {("input", "spark_app/submitted/0a1b2c3d/job.py"): b"a program"}
    assert bucket.objects == {}


def test_it_is_gone_as_well_when_the_run_fails(bucket: Bucket) -> None:
    with pytest.raises(RunFailed, match="step failed"), _uploaded():
        raise RunFailed("step failed")
    assert bucket.objects == {}


def test_a_bucket_that_refuses_it_is_said(bucket: Bucket) -> None:
    bucket.error = ClientError({"Error": {"Code": "NoSuchBucket", "Message": "no such bucket"}}, "PutObject")
    with (
        pytest.raises(ServiceFailed, match=r"The gateway refuses to store `s3://.*/job\.py`: .*NoSuchBucket"),
        _uploaded(),
    ):
        pytest.fail("went on")


def test_what_cannot_be_removed_is_named_and_hides_nothing(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    def run() -> None:
        with _uploaded():
            bucket.error = EndpointConnectionError(endpoint_url="http://127.0.0.1:4566")
            raise RunFailed("step failed")

    with pytest.raises(RunFailed, match="step failed"):
        run()
    assert "remove `s3://input/spark_app/submitted/0a1b2c3d/job.py`" in capsys.readouterr().err
