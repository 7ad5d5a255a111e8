import json
import stat
import subprocess

import pytest

from drydock import secrets, settings
from drydock.errors import SetupError


@pytest.fixture
def paths(tmp_path):
    return settings.Paths(tmp_path)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_made_once_and_for_their_owner_alone(paths):
    files = secrets.ensure(paths)
    names = {file.name: file.read_bytes() for file in paths.secrets.iterdir()}

    assert set(names) == {
        *("operator.json", "gateway.secret", "node.secret", "spark.secret", "console.token"),
        *("orchestrator.token", "kestra.password"),
        *("postgres.password", "emr-database.password", "kestra-database.password"),
    }
    assert len(set(names.values())) == len(names)
    assert mode(paths.secrets) == 0o700
    assert {mode(file) for file in paths.secrets.iterdir()} == {0o600}
    assert len(files.gateway.read_text().strip()) >= 43

    secrets.ensure(paths)
    assert {file.name: file.read_bytes() for file in paths.secrets.iterdir()} == names


def test_what_others_could_read_is_closed_again(paths):
    files = secrets.ensure(paths)
    files.node.chmod(0o644)
    paths.secrets.chmod(0o755)

    secrets.ensure(paths)

    assert mode(files.node) == 0o600
    assert mode(paths.secrets) == 0o700


def test_a_link_in_a_secret_s_place_is_refused(paths, tmp_path):
    files = secrets.ensure(paths)
    files.spark.unlink()
    files.spark.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(SetupError, match="should be a plain file"):
        secrets.ensure(paths)


@pytest.mark.parametrize("account", ["000000000000", "000000000001", "123456789012", "999999999999"])
def test_localstack_reads_the_account_back_from_a_key(account):
    """Asked of LocalStack itself, in the gateway's environment."""
    key = secrets.access_key_id(account)
    code = (
        "from localstack.aws.accounts import get_account_id_from_access_key_id as f; import sys; print(f(sys.argv[1]))"
    )
    python = settings.Paths().environment("gateway") / "bin" / "python"
    answer = subprocess.run([python, "-c", code, key], capture_output=True, text=True, check=True)

    assert len(key) == 20
    assert answer.stdout.strip() == account


def test_the_operator_key_is_read_back_and_does_not_show_itself(paths):
    files = secrets.ensure(paths)
    key = secrets.operator_key(paths)

    assert json.loads(files.operator_key.read_text()) == {
        "access_key_id": key.access_key_id,
        "secret_access_key": key.secret_access_key,
    }
    assert len(key.secret_access_key) == 40
    assert key.secret_access_key not in repr(key)


def test_a_missing_or_spoilt_operator_key_is_explained(paths):
    with pytest.raises(SetupError, match="There is no operator key at"):
        secrets.operator_key(paths)

    secrets.ensure(paths).operator_key.write_text("{}")
    with pytest.raises(SetupError, match="cannot be read"):
        secrets.operator_key(paths)


def test_kestra_s_password_is_one_that_kestra_takes(paths):
    secrets.ensure(paths)
    password = secrets.kestra_password(paths)
    assert len(password) >= 8
    assert any(character.isupper() for character in password)
    assert any(character.isdigit() for character in password)


def test_the_orchestrator_s_token_can_be_sent_as_its_file_is(paths):
    token = secrets.ensure(paths).orchestrator_token.read_text()
    assert len(token) >= 32
    assert token.isprintable()
