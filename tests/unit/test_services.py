import sys
from pathlib import Path

import pytest

from drydock import log_files, processes, secrets, services, settings
from drydock.errors import SetupError
from drydock.supervision import render_configuration, socket_path


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """A home with a Java in it, and a caller's environment with things in it that no service may see."""
    (tmp_path / "tools").mkdir()
    for name in ("java", "engine-java"):
        home = tmp_path / f"{name} home"
        (home / "bin").mkdir(parents=True)
        (home / "bin" / "java").touch()
        (tmp_path / "tools" / f"{name}-home").write_text(str(home))
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "engine.jar").touch()
    for name in services.INHERITED:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("DRYDOCK_SCHEDULES", raising=False)
    monkeypatch.setenv("DRYDOCK_HOME", str(tmp_path))  # no platform that runs decides anything
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.setenv("SSL_CERT_FILE", "/etc/ca.pem")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "anna's own")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("HTTPS_PROXY", "http://anna:secret@proxy")
    monkeypatch.setenv("PYTHONPATH", "/home/anna/lib")
    return settings.Paths(tmp_path)


@pytest.fixture
def declared(paths):
    secrets.ensure(paths)
    return {service.name: service for service in services.declare(paths, settings.Ports(offset=0))}


def base(paths):
    return {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONUNBUFFERED": "1",
        "HOME": "/home/anna",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "DRYDOCK_INSTALL": processes.install_id(paths),
    }


def test_the_order_of_start(declared, paths):
    assert [(service.name, service.wave) for service in declared.values()] == [
        ("gateway", 1),
        ("emr", 2),
        ("node-1", 3),
        ("node-2", 3),
        ("node-3", 3),
        ("history-server", 3),
        ("kestra", 4),
    ]
    assert tuple(declared) == services.names(paths)


def test_what_each_listens_on_is_known_without_a_toolchain(declared):
    known = services.listeners(settings.Paths(Path("/nowhere")), settings.Ports(offset=0))
    assert known == {name: service.listeners for name, service in declared.items()}


def test_the_gateway_s_environment(declared, paths):
    home = paths.home
    assert declared["gateway"].environment == {
        **base(paths),
        "GATEWAY_SERVER": "drydock",
        "GATEWAY_LISTEN": "127.0.0.1:4566",
        "SERVICES": "s3,iam,sts,ec2",
        "PROVIDER_OVERRIDE_S3": "drydock",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "DNS_ADDRESS": "0",
        "DISABLE_CORS_CHECKS": "1",
        "DISABLE_CORS_HEADERS": "1",
        "OVERRIDE_IN_DOCKER": "0",
        "FILESYSTEM_ROOT": f"{home}/data/gateway",
        "TEMP": f"{home}/data/gateway/tmp",
        "XDG_CACHE_HOME": f"{home}/data/gateway/cache",
        "CONFIG_DIR": f"{home}/data/gateway/config",
        "HOME": f"{home}/data/gateway",
        "DRYDOCK_OPERATOR_KEY_FILE": f"{home}/secrets/operator.json",
        "DRYDOCK_GATEWAY_SECRET_FILE": f"{home}/secrets/gateway.secret",
        "DRYDOCK_GATEWAY_STORE": f"{home}/data/gateway/store",
        "DRYDOCK_EMR_URL": "http://127.0.0.1:8088",
        "DRYDOCK_ORCHESTRATOR_ROLE": "kestra-role",
        "DRYDOCK_ORCHESTRATOR_TOKEN_FILE": f"{home}/secrets/orchestrator.token",
    }
    assert declared["gateway"].command == (f"{home}/envs/gateway/bin/python", "-m", "localstack.runtime.main")


def test_the_control_plane_s_environment(declared, paths):
    home = paths.home
    assert declared["emr"].environment == {
        **base(paths),
        "EMR_LISTEN": "127.0.0.1:8088",
        "EMR_DATABASE_URL": f"sqlite:///{home}/data/emr.db",
        "EMR_LOG_PUSH_SECONDS": "3",
        "EMR_CONSOLE_TOKEN_FILE": f"{home}/secrets/console.token",
        "DRYDOCK_GATEWAY_URL": "http://127.0.0.1:4566",
        "DRYDOCK_GATEWAY_SECRET_FILE": f"{home}/secrets/gateway.secret",
        "DRYDOCK_NODE_SECRET_FILE": f"{home}/secrets/node.secret",
    }


def test_a_node_s_environment(declared, paths):
    home = paths.home
    assert declared["node-2"].environment == {
        **base(paths),
        "NODE_NAME": "node-2",
        "NODE_HOST": "127.0.0.12",
        "NODE_UI_HOST": "127.0.0.1",
        "NODE_UI_PORT": "8091",
        "NODE_RPC_PORT": "7078",
        "NODE_CREDENTIALS_PORT": "7178",
        "NODE_SCRATCH": f"{home}/nodes/node-2",
        "NODE_PYTHON": f"{sys.base_prefix}/bin/python3.11",
        "NODE_WORKSPACE": f"{home}/envs/workspace",
        "EMR_URL": "http://127.0.0.1:8088",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "DRYDOCK_NODE_SECRET_FILE": f"{home}/secrets/node.secret",
        "JAVA_HOME": f"{home}/java home",
        "SPARK_HOME": f"{home}/spark",
        "SPARK_SECRET_FILE": f"{home}/secrets/spark.secret",
        "SPARK_EVENT_LOG_DIR": f"{home}/spark-events",
    }
    assert Path(declared["node-2"].environment["NODE_PYTHON"]).exists()


def test_a_node_gets_the_class_archive_when_there_is_one(paths):
    paths.cds_archive.parent.mkdir()
    paths.cds_archive.touch()
    node = services.declare(paths, settings.Ports(offset=0))[2]
    assert node.environment["SPARK_CDS_ARCHIVE"] == str(paths.cds_archive)


def test_the_history_server_s_environment(declared, paths):
    environment = dict(declared["history-server"].environment)
    options = environment.pop("SPARK_HISTORY_OPTS")
    assert environment == {
        **base(paths),
        "JAVA_HOME": f"{paths.home}/java home",
        "SPARK_HOME": f"{paths.home}/spark",
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "512m",
    }
    assert f'"-Dspark.history.fs.logDirectory=file:{paths.home}/spark-events"' in options
    assert '"-Dspark.port.maxRetries=0"' in options


def test_kestra_s_flows_act_as_kestra_role_and_have_no_key(declared, paths):
    kestra = declared["kestra"]
    environment = dict(kestra.environment)
    assert environment.pop("PATH") == f"{paths.home}/envs/workspace/bin:{base(paths)['PATH']}"
    assert environment == {
        **{name: value for name, value in base(paths).items() if name != "PATH"},
        "ENGINE_DATA": f"{paths.home}/data/kestra",
        "ENGINE_FLOWS": str(settings.REPOSITORY / "kestra" / "flows"),
        "ENGINE_PORT": "8080",
        "ENGINE_USERNAME": "operator@drydock.local",
        "ENGINE_PASSWORD_FILE": f"{paths.home}/secrets/kestra.password",
        "ENGINE_SCHEDULES": "true",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:4566/_drydock/orchestrator-credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{paths.home}/secrets/orchestrator.token",
        "DRYDOCK_PLATFORM_CONFIG": "s3://spark-job-data-input/config/platform.json",
        "DRYDOCK_ROLE_ARN": "arn:aws:iam::000000000000:role/kestra-role",
        "DRYDOCK_KESTRA_URL": "http://127.0.0.1:8080",
        "DRYDOCK_KESTRA_USERNAME": "operator@drydock.local",
        "DRYDOCK_KESTRA_PASSWORD_FILE": f"{paths.home}/secrets/kestra.password",
    }


def test_schedules_can_be_switched_off(paths, monkeypatch):
    monkeypatch.setenv("DRYDOCK_SCHEDULES", "off")
    assert services.declare(paths, settings.Ports(offset=0))[-1].environment["ENGINE_SCHEDULES"] == "false"
    monkeypatch.setenv("DRYDOCK_SCHEDULES", "no")
    with pytest.raises(SetupError, match="DRYDOCK_SCHEDULES is `no`, expected `on` or `off`"):
        services.declare(paths, settings.Ports(offset=0))


def test_a_platform_without_schedules_stays_without_them(paths, monkeypatch):
    paths.run.mkdir(parents=True)
    (paths.run / "platform.json").write_text('{"schedules": false}')
    assert not settings.schedules()
    monkeypatch.setenv("DRYDOCK_SCHEDULES", "on")
    assert settings.schedules()


def test_the_offset_moves_every_port_and_no_two_services_share_one(paths):
    plain = services.declare(paths, settings.Ports(offset=0))
    moved = services.declare(paths, settings.Ports(offset=1000))
    ports = [(it.host, it.port) for service in plain for it in service.listeners]

    assert len(set(ports)) == len(ports) == 13
    assert all(host.startswith("127.") for host, _ in ports)
    assert [(it.host, it.port - 1000) for service in moved for it in service.listeners] == ports
    shown = " ".join(f"{service.environment} {service.url}" for service in moved)
    assert not any(f":{port}" in shown for _, port in ports)


def test_no_secret_is_in_what_starts_the_services(declared, paths):
    values = [file.read_text().strip() for file in paths.secrets.iterdir() if file.suffix != ".json"]
    key = secrets.operator_key(paths)
    written = render_configuration(declared.values()) + "".join(
        f"{service.command} {dict(service.environment)}" for service in declared.values()
    )
    for value in (*values, key.access_key_id, key.secret_access_key, "anna's own", "anna:secret"):
        assert value not in written


def test_the_supervisor_s_configuration_names_no_path_of_this_install(declared, paths):
    configuration = render_configuration(declared.values())

    assert str(paths.home) not in configuration
    assert configuration.count("autostart=false") == len(declared)
    assert "[program:history-server]" in configuration


def test_the_services_logs_are_bounded_as_all_others_are(declared):
    configuration = render_configuration(declared.values())

    assert configuration.count("stdout_logfile_maxbytes=10485760\n") == len(declared)
    assert configuration.count("stdout_logfile_backups=2\n") == len(declared)
    assert (log_files.MAX_BYTES, log_files.BACKUPS) == (10_485_760, 2)


def test_a_socket_s_path_fits_whatever_the_home_is():
    near, far = settings.Paths(Path("/srv/drydock")), settings.Paths(Path("/srv") / ("long" * 30))

    assert socket_path(near) == Path("/srv/drydock/run/supervisor.sock")
    assert len(str(socket_path(far))) < 90
    assert socket_path(far) != socket_path(settings.Paths(Path("/srv") / ("wide" * 30)))
