"""A revision of the jobs: its name, what belongs to it, and what changes it."""

import subprocess
from pathlib import Path

import pytest

from drydock import jobs, settings
from drydock.errors import SetupError

PROGRAMS = ("data_generator.py", "data_processor.py", "cluster_check.py", "bootstrap.sh")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one commit of the jobs."""
    repository = tmp_path / "checkout"
    (repository / "spark" / "shipments").mkdir(parents=True)
    (repository / "requirements").mkdir()
    for name in PROGRAMS:
        (repository / "spark" / name).write_text(f"# {name}\n")
    (repository / "spark" / "shipments" / "__init__.py").write_text("")
    (repository / "requirements" / "jobs.txt").write_text("numpy==1.0\n")
    git(repository, "init", "--quiet")
    commit(repository)
    monkeypatch.setattr(settings, "REPOSITORY", repository)
    monkeypatch.setattr(jobs, "LOCK", repository / "requirements" / "jobs.txt")
    return repository


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    paths = settings.Paths(tmp_path / "home")
    paths.wheels.mkdir(parents=True)
    (paths.wheels / "requirements.txt").write_text("numpy==1.0\n")
    (paths.wheels / "numpy-1.0-py3-none-any.whl").write_bytes(b"a wheel")
    paths.log_store.parent.mkdir()
    paths.log_store.write_bytes(b"a jar")
    return paths


def git(repository: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(repository), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(repository: Path) -> str:
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message=Something")
    return git(repository, "rev-parse", "HEAD")[:12]


def revision(repository: Path, paths: settings.Paths) -> jobs.Revision:
    return jobs.revision(paths, paths.home / "scratch", repository / "spark")


def test_it_is_named_after_the_commit_that_changed_the_jobs_last(repository: Path, paths: settings.Paths) -> None:
    of_jobs = git(repository, "rev-parse", "HEAD")[:12]
    (repository / "README.md").write_text("Something else.\n")
    commit(repository)
    assert revision(repository, paths).name.startswith(f"{of_jobs}-")
    (repository / "spark" / "bootstrap.sh").write_text("# changed\n")
    assert revision(repository, paths).name.startswith(f"{of_jobs}-dirty-")
    changed = commit(repository)
    assert revision(repository, paths).name.startswith(f"{changed}-")


def test_two_contents_never_have_one_name(repository: Path, paths: settings.Paths) -> None:
    names = set()
    for content in ("# one\n", "# two\n"):
        (repository / "spark" / "data_generator.py").write_text(content)
        names.add(revision(repository, paths).name)
    paths.log_store.write_bytes(b"another jar")
    names.add(revision(repository, paths).name)
    assert len(names) == 3


def test_wheels_are_shared_until_one_changes(repository: Path, paths: settings.Paths) -> None:
    before = revision(repository, paths)
    (repository / "spark" / "data_generator.py").write_text("# another\n")
    assert revision(repository, paths).wheels == before.wheels
    (paths.wheels / "numpy-1.0-py3-none-any.whl").write_bytes(b"another wheel")
    after = revision(repository, paths)
    assert after.wheels != before.wheels
    assert {name.rsplit("/", 1)[0] for name in after.files} == {after.name, after.wheels}


def test_without_git_the_content_alone_is_its_name(
    repository: Path, paths: settings.Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_git = revision(repository, paths).name
    monkeypatch.setenv("PATH", str(tmp_path))
    assert with_git.endswith(f"-{revision(repository, paths).name}")


def test_what_lies_beside_the_jobs_belongs_to_it(repository: Path, paths: settings.Paths) -> None:
    before = revision(repository, paths)
    for name in ("carrier_monthly.py", "carrier_bootstrap.sh", "notes.md", ".#data_generator.py"):
        (repository / "spark" / name).write_text(f"# {name}\n")
    (repository / "spark" / "carriers").mkdir()
    (repository / "spark" / "carriers" / "__init__.py").write_text("")
    (repository / "spark" / "log_store").mkdir()
    (repository / "spark" / "log_store" / "Store.scala").write_text("")
    found = revision(repository, paths)
    assert found.name != before.name
    assert [name.removeprefix(f"{found.name}/") for name in found.files if name.startswith(found.name)] == [
        "bootstrap.sh",
        "carrier_bootstrap.sh",
        "carrier_monthly.py",
        "cluster_check.py",
        "data_generator.py",
        "data_processor.py",
        "carriers.zip",
        "shipments.zip",
        "delta-log-store.jar",
    ]


def test_a_name_that_no_step_could_be_given_is_refused(repository: Path, paths: settings.Paths) -> None:
    (repository / "spark" / "my job (1).py").write_text("")
    with pytest.raises(SetupError, match=r"my job \(1\)\.py` is no name for a job: .* Rename it\."):
        revision(repository, paths)


def test_a_part_that_is_missing_is_named(repository: Path, paths: settings.Paths) -> None:
    (repository / "spark" / "bootstrap.sh").unlink()
    with pytest.raises(SetupError, match=r"bootstrap\.sh`, which every cluster runs, is not there\."):
        revision(repository, paths)
    paths.log_store.unlink()
    with pytest.raises(SetupError, match=r"delta-log-store\.jar`, which the jobs need, is not there. `make setup`"):
        revision(repository, paths)


def test_it_is_named_as_terraform_takes_it(repository: Path, paths: settings.Paths) -> None:
    (repository / "spark" / "bootstrap.sh").write_text("# changed\n")
    found = revision(repository, paths)
    assert 6 <= len(found.name) <= 63
    assert found.name.replace("-", "").isalnum()
    assert found.name == found.name.lower()
    assert found.wheels.removeprefix("wheels/").isalnum()
