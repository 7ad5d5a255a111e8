"""Kestra's engine (`kestra/engine`): compiled, and started by a JVM that remembers how it started before.

No JDK is needed: Eclipse's compiler is a jar, and Micronaut's annotation processor runs in it. The JVM's memory is an
AOT cache (JEP 483, 514): the classes, loaded and linked, of an engine that was started once and has run a flow. With it
the engine is up within five seconds rather than thirty-five. It belongs to one JVM and one class path; on a mismatch
the JVM goes on without it.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from drydock import reproducible_zip, settings
from drydock.errors import SetupError
from drydock.toolchain import jars, java, programs
from drydock.toolchain.stamps import Stamp, fingerprint

SOURCE = settings.REPOSITORY / "kestra" / "engine" / "src"
MAIN_CLASS = "drydock.engine.Engine"
WORKLOAD_FLOW = ("drydock.set-up", "workload")
WORKLOAD = Path(__file__).with_name("engine_workload.yaml")
COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"
OPTIONS = ("-25", "-parameters", "-failOnWarning")
# Kestra's own libraries look into these.
OPENED = ("java.base/java.lang", "java.base/java.nio", "java.base/java.util")
# What C2 and G1 would win later they cost many times over while it starts; it mostly waits.
JVM = ("-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Duser.timezone=UTC")


def stamp(paths: settings.Paths) -> Stamp:
    sources = sorted(file for file in SOURCE.rglob("*") if file.is_file())
    tools = jars.ENGINE.lock, jars.ENGINE_COMPILER.lock, java.ENGINE.identity(paths)
    return Stamp(paths.engine / ".jar.stamp", fingerprint(*OPTIONS, *sources, *tools, str(_jar(paths).is_file())))


def compile_jar(paths: settings.Paths, progress: Callable[[str], None]) -> str:
    """Make our jar. Says how large it is."""
    progress("compiling")
    paths.engine.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="drydock-") as scratch:
        classes, compiler = Path(scratch), _joined(paths, jars.ENGINE_COMPILER)
        command = [java.ENGINE.program(paths), "-XX:TieredStopAtLevel=1", "-cp", compiler, COMPILER, *OPTIONS]
        command += ["-cp", _joined(paths, jars.ENGINE), "-processorpath", compiler, "-d", scratch, str(SOURCE)]
        programs.run(command, f"Compiling {SOURCE.relative_to(settings.REPOSITORY)}")
        for file in SOURCE.rglob("*"):
            if file.is_file() and file.suffix != ".java":
                target = classes / file.relative_to(SOURCE)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        # Micronaut looks for its folders as such, not only for what is in them.
        reproducible_zip.write(_jar(paths), classes, classes.rglob("*"))
    stamp(paths).write()
    return f"{_jar(paths).stat().st_size / 1e3:.0f} kB"


def cache_stamp(paths: settings.Paths) -> Stamp:
    made_from = (stamp(paths).fingerprint, *JVM, str(paths.jar_cache), str(_cache(paths).is_file()))
    return Stamp(paths.engine / ".cache.stamp", fingerprint(*made_from, WORKLOAD))


def make_cache(paths: settings.Paths, progress: Callable[[str], None]) -> str:
    """Start the engine, run a flow, and have the JVM write down what it knows as it ends. Says how large that is."""
    from drydock import kestra  # whose HTTP client only exists in the workspace's environment

    progress("starting the engine")
    partial = _cache(paths).with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="drydock-") as scratch, socket.create_server(("127.0.0.1", 0)) as reserved:
        folder, log, port = Path(scratch), Path(scratch, "log"), reserved.getsockname()[1]
        (folder / "flows").mkdir()
        shutil.copy(WORKLOAD, folder / "flows")
        password = folder / "password"
        password.write_text("Not-a-secret-1")
        reserved.close()
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*_command(paths), f"-XX:AOTCacheOutput={partial}", MAIN_CLASS],
                env={"PATH": os.defpath, **environment(folder / "data", folder / "flows", port, password)},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
            try:
                with kestra.client(f"http://127.0.0.1:{port}", password) as engine:
                    engine.await_up(lambda: process.poll() is None)
                    progress("running a flow")
                    ended = engine.run(*WORKLOAD_FLOW, {"date": "2026-01-31"})
                progress("writing the cache")
            finally:
                process.terminate()
                process.wait()
        if ended["state"]["current"] != "SUCCESS" or not partial.is_file():
            said = log.read_text(errors="replace")[-programs.LAST_CHARACTERS :]
            raise SetupError(f"Kestra's engine did not run its first flow:\n{said}")
    partial.replace(_cache(paths))
    cache_stamp(paths).write()
    return f"{_cache(paths).stat().st_size / 1e6:.0f} MB"


def command(paths: settings.Paths) -> tuple[str, ...]:
    """What starts the engine; see `environment`. Raises SetupError when set-up has not made it."""
    if not _jar(paths).is_file():
        raise SetupError("Kestra's engine has not been compiled. Run `make setup`.")
    return (*_command(paths), f"-XX:AOTCache={_cache(paths)}", MAIN_CLASS)


def environment(data: Path, flows: Path, port: int, password_file: Path) -> dict[str, str]:
    """The engine's configuration: the folders of its data and of the flows, its port on loopback, who may call."""
    return {
        "ENGINE_DATA": str(data),
        "ENGINE_FLOWS": str(flows),
        "ENGINE_PORT": str(port),
        "ENGINE_USERNAME": settings.KESTRA_USERNAME,
        "ENGINE_PASSWORD_FILE": str(password_file),
    }


def _command(paths: settings.Paths) -> list[str]:
    opened = [word for package in OPENED for word in ("--add-opens", f"{package}=ALL-UNNAMED")]
    class_path = os.pathsep.join([str(_jar(paths)), _joined(paths, jars.ENGINE)])
    return [java.ENGINE.program(paths), *JVM, *opened, "-cp", class_path]


def _joined(paths: settings.Paths, wanted: jars.JarSet) -> str:
    return os.pathsep.join(str(paths.jar_cache.resolve() / jar.file_name) for jar in wanted.locked())


def _jar(paths: settings.Paths) -> Path:
    return paths.engine / "engine.jar"


def _cache(paths: settings.Paths) -> Path:
    return paths.engine / "engine.aot"
