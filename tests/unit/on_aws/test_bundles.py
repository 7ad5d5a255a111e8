"""Kestra's bundle: what is in it, its name, and which one is deployed."""

import ast
import os
import re
import shutil
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from drydock import settings
from drydock.errors import DrydockError, SetupError
from drydock.on_aws import bundles

from .scripted_s3 import S3, site

DOCKERFILE = (settings.REPOSITORY / "compose" / "kestra" / "Dockerfile").read_text()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of what a bundle is made of."""
    for name in bundles.CONTENTS:
        source, copy = settings.REPOSITORY / name, tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy)
        else:
            shutil.copy(source, copy)
    return tmp_path


def names(bundle: bundles.Bundle) -> dict[str, int]:
    """Mode by name."""
    with tarfile.open(fileobj=BytesIO(bundle.content)) as archive:
        return {each.name: each.mode for each in archive}


def test_the_same_files_are_the_same_bundle_wherever_and_whenever(repository: Path) -> None:
    before = bundles.of_checkout(repository)
    for file in repository.rglob("*"):
        os.utime(file, (1, 1))
        if file.is_file():
            file.chmod(0o700 if file.stat().st_mode & 0o100 else 0o600)
    (repository / "kestra" / "driver" / "drydock_driver" / "__pycache__").mkdir(exist_ok=True)
    (repository / "kestra" / "driver" / "drydock_driver" / "__pycache__" / "cli.cpython-311.pyc").write_bytes(b"1")
    assert bundles.of_checkout(repository) == before == bundles.of_checkout()
    (repository / "kestra" / "flows" / "sweep.yaml").write_text("id: sweep\n")
    assert bundles.of_checkout(repository).sha256 != before.sha256


def test_it_holds_what_the_image_is_made_of_and_what_starts_it() -> None:
    held = names(bundles.of_checkout())
    copied = [
        name for line in re.findall(r"^COPY (?:--\S+ )?(.+) \S+$", DOCKERFILE, re.MULTILINE) for name in line.split()
    ]
    assert copied
    for name in copied:
        assert any(each == name or each.startswith(f"{name}/") for each in held), name
    assert held["compose/kestra-host/start"] == held["compose/with-network.sh"] == 0o755
    assert held["compose/kestra-host.yaml"] == 0o644


def test_its_programs_import_what_is_in_it_and_what_the_image_has() -> None:
    held = names(bundles.of_checkout())
    asked_for = (settings.REPOSITORY / "requirements" / "driver.in").read_text().split("\n")
    for name in held:
        if name.startswith("scripts/"):
            for imported in imports(ast.parse((settings.REPOSITORY / name).read_text())):
                package, _, rest = imported.partition(".")
                if package == "drydock":
                    assert f"scripts/drydock/{rest or '__init__'}.py" in held, imported
                else:
                    assert package in asked_for or package in sys.stdlib_module_names, imported


def imports(module: ast.Module) -> list[str]:
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "drydock":
            found += [f"drydock.{each.name}" for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(str(node.module))
    return found


def test_its_flows_are_those_of_the_folder() -> None:
    flows = bundles.of_checkout().flows
    assert flows == {file.name: file.read_text() for file in settings.Paths().flows.glob("*.yaml")}
    assert "data_generation.yaml" in flows


def test_a_part_that_is_missing_is_named(repository: Path) -> None:
    (repository / "requirements" / "driver.txt").unlink()
    with pytest.raises(SetupError, match=r"driver\.txt` is not there"):
        bundles.of_checkout(repository)


def test_a_flow_that_would_be_passed_over_is_told_before_anything_is_deployed(repository: Path) -> None:
    (repository / "kestra/flows/monthly.yml").touch()
    with pytest.raises(DrydockError, match=r"has monthly\.yml: flows are files whose names end with \.yaml"):
        bundles.of_checkout(repository)


def test_it_is_stored_before_anybody_is_pointed_to_it() -> None:
    s3, bundle = S3(), bundles.of_checkout()
    where = site(s3=s3)
    assert bundles.deployed(where) is None
    bundles.upload(where, "0a1b2c", bundle)
    assert bundles.deployed(where) is None
    assert bundles.point(where, "0a1b2c", bundle) == bundles.current(where) == f"0a1b2c/{bundle.sha256}"
    assert s3.written == [f"kestra/0a1b2c/{bundle.sha256}.tar", "kestra/0a1b2c/current", "kestra/current"]
    assert bundles.deployed(where) == bundle
    bundles.upload(where, "0a1b2c", bundle)
    bundles.point(where, "0a1b2c", bundle)
    assert len(s3.written) == 3  # what is there is not written again


def test_jobs_of_before_have_the_bundle_that_was_deployed_with_them_last(repository: Path) -> None:
    where, first = site(s3=S3()), bundles.of_checkout(repository)
    (repository / "kestra" / "flows" / "sweep.yaml").unlink()
    second = bundles.of_checkout(repository)
    for revision, bundle in (("old", first), ("old", second), ("old", first), ("new", second)):
        bundles.upload(where, revision, bundle)
        bundles.point(where, revision, bundle)
    assert bundles.of_revision(where, "old") == first
    assert bundles.deployed(where) == bundles.of_revision(where, "new") == second
    assert bundles.of_revision(where, "older") is None


def test_where_there_is_no_bucket_yet_there_is_no_bundle() -> None:
    s3 = S3()
    s3.exists = False
    assert bundles.deployed(site(s3=s3)) is None


def test_one_that_is_damaged_or_gone_is_told() -> None:
    s3, bundle = S3(), bundles.of_checkout()
    where = site(s3=s3)
    bundles.upload(where, "0a1b2c", bundle)
    bundles.point(where, "0a1b2c", bundle)
    s3.objects[f"kestra/0a1b2c/{bundle.sha256}.tar"] = bundle.content[:-1]
    with pytest.raises(SetupError, match="is damaged: remove `s3://acme-spark-job-data-input/kestra/current`"):
        bundles.deployed(where)
    del s3.objects[f"kestra/0a1b2c/{bundle.sha256}.tar"]
    with pytest.raises(SetupError, match="is not there"):
        bundles.deployed(where)
