"""The evaluator of IAM policies, fetched by an npm that is faked."""

from pathlib import Path

import pytest

from drydock import settings
from drydock.errors import SetupError
from drydock.toolchain import environments, iam_simulate

NPM = """#!/bin/sh
while [ "$1" != --prefix ]; do shift; done
cd "$2" && [ "$(pwd -P)" = "$2" ] || { echo "npm error Missing: partial@ from lock file"; exit 1; }
grep -q iam-simulate package-lock.json && mkdir -p node_modules/@cloud-copilot
"""


@pytest.fixture
def paths(tmp_path: Path) -> settings.Paths:
    """A home that is reached by a link, with the environment that has npm."""
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "home")
    paths = settings.Paths(tmp_path / "link")
    programs = paths.environment(iam_simulate.ENVIRONMENT) / "bin"
    programs.mkdir(parents=True)
    (programs / "python").touch()
    (programs / "npm").write_text(NPM)
    (programs / "npm").chmod(0o755)
    environments.stamp(paths, iam_simulate.ENVIRONMENT).write()
    return paths


def test_npm_is_given_the_real_path_of_its_folder(paths: settings.Paths) -> None:
    iam_simulate.provide(paths, lambda _: None)
    assert (iam_simulate.folder(paths) / "node_modules" / "@cloud-copilot").is_dir()
    assert iam_simulate.stamp(paths).matches


def test_what_is_there_is_not_fetched_again_and_what_fails_leaves_nothing(paths: settings.Paths) -> None:
    npm = iam_simulate.node(paths).with_name("npm")
    npm.write_text("#!/bin/sh\necho no network; exit 1\n")
    with pytest.raises(SetupError, match=r"Fetching the evaluator of IAM policies failed.*\nno network"):
        iam_simulate.provide(paths, lambda _: None)
    assert not iam_simulate.folder(paths).exists()
    npm.write_text(NPM)
    iam_simulate.provide(paths, lambda _: None)
    npm.unlink()
    iam_simulate.provide(paths, lambda _: None)
