"""Where the AWS provider is looked for."""

from pathlib import Path

import pytest

from drydock import terraform_mirror
from drydock.errors import SetupError

VERSION = "1.2.3"


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without mirrors; what /opt and /usr hold has another version than 1.2.3."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TF_PLUGIN_DIR", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_DIRS", raising=False)
    return tmp_path


def unpacked(mirror: Path, version: str = VERSION) -> Path:
    folder = mirror / "registry.example" / "hashicorp" / "aws" / version / terraform_mirror.machine()
    folder.mkdir(parents=True)
    (folder / f"terraform-provider-aws_v{version}_x5").touch()
    return mirror


def test_no_mirror_is_none() -> None:
    assert terraform_mirror.find(VERSION) is None


def test_the_default_folder_is_found(bare_machine: Path) -> None:
    mirror = unpacked(bare_machine / ".terraform.d" / "plugins")
    assert terraform_mirror.find(VERSION) == mirror


def test_data_folders_are_found(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mirror = unpacked(bare_machine / "share" / "terraform" / "plugins")
    monkeypatch.setenv("XDG_DATA_DIRS", f"/nowhere:{bare_machine / 'share'}")
    assert terraform_mirror.find(VERSION) == mirror


def test_a_packed_provider_is_found(bare_machine: Path) -> None:
    mirror = bare_machine / ".terraform.d" / "plugins"
    provider = mirror / "registry.example" / "hashicorp" / "aws"
    provider.mkdir(parents=True)
    (provider / f"terraform-provider-aws_{VERSION}_{terraform_mirror.machine()}.zip").touch()
    assert terraform_mirror.find(VERSION) == mirror


def test_another_version_or_machine_does_not_count(bare_machine: Path) -> None:
    mirror = unpacked(bare_machine / ".terraform.d" / "plugins", version="1.2.4")
    (mirror / "registry.example" / "hashicorp" / "aws" / VERSION / "plan9_mips").mkdir(parents=True)
    assert terraform_mirror.find(VERSION) is None


def test_the_users_choice_comes_first(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked(bare_machine / ".terraform.d" / "plugins")
    chosen = unpacked(bare_machine / "chosen")
    monkeypatch.setenv("TF_PLUGIN_DIR", str(chosen))
    assert terraform_mirror.find(VERSION) == chosen


def test_a_choice_without_the_provider_is_refused(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked(bare_machine / ".terraform.d" / "plugins")
    monkeypatch.setenv("TF_PLUGIN_DIR", str(bare_machine / "empty"))
    with pytest.raises(SetupError, match=f"has no AWS provider {VERSION} for {terraform_mirror.machine()}"):
        terraform_mirror.find(VERSION)
