"""For the tests of more than one part."""

import stat
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, which is its own authority; its key lies beside it."""
    folder = tmp_path_factory.mktemp("authority")
    certificate, key = folder / "authority.pem", folder / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=127.0.0.1"]
    made += ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:TRUE"]
    subprocess.run(made, check=True, capture_output=True)
    return certificate


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The only programs on the PATH: none, until `programs(name, shell)` makes one; returns its file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def make(name: str, shell: str) -> Path:
        file = folder / name
        file.write_text(f"#!/bin/sh\n{shell}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return file

    return make
