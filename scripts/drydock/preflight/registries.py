"""Where set-up fetches from: whether each registry answers, through the user's proxy, to the user's authorities.

No registry is named here: where each is, its client knows. One thing is asked for that set-up fetches there.
Standard library only.
"""

import base64
import http.client
import importlib
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import tomllib
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from drydock import settings, terraform_mirror
from drydock.errors import SetupError
from drydock.preflight.docker import Docker, has_containers
from drydock.preflight.finding import Finding, Once, Status, ok, warning
from drydock.toolchain import jars, network, plan
from drydock.toolchain import terraform as terraform_program

SECONDS = 3.0  # for an answer, the look-up of the name included
PYTHON_STEPS = {"uv", "workspace", "spark", "gateway", "wheels", "java", "engine java"}
MAVEN_STEPS = {"jars", "engine jars", "engine compiler"}
FORBIDDEN = (401, 403)
NOT_NOW = "Nothing has to be fetched from it now."


def python_packages(todo: Once[list[plan.Step]]) -> Iterator[Finding]:
    """uv's index, and pip's where pip has to fetch uv first and was told of another."""
    names = {step.name for step in todo()}
    try:
        indexes = {_uv_index(), *([_pip_index()] if "uv" in names else [])}
    except ModuleNotFoundError:
        yield warning(
            "Python packages",
            "There is no pip yet that could be asked for its index.",
            "`make setup` makes one, and says what it cannot reach.",
        )
        return
    without = _without(todo(), PYTHON_STEPS)
    for index in sorted(indexes):
        fix = "A mirror is named by PIP_INDEX_URL or UV_DEFAULT_INDEX."
        yield _found("Python packages", index, "/uv/", without, fix)


def maven(todo: Once[list[plan.Step]]) -> Iterator[Finding]:
    """The repository that the jars come from. Nothing where that is not known before set-up."""
    try:
        repository = jars.repository()
    except ModuleNotFoundError:
        return
    fix = "A mirror is named by DRYDOCK_MAVEN_REPOSITORY."
    yield _found("jars", repository, f"/{jars.SPARK.locked()[0].path}", _without(todo(), MAVEN_STEPS), fix)


def terraform(paths: settings.Paths) -> Iterator[Finding]:
    """Terraform's registry, where no mirror has the provider."""
    version = settings.versions()["terraform"]["aws_provider"]
    try:
        if terraform_mirror.find(version) is not None:
            return
        terraform_program.look()
    except SetupError:
        return  # said of Terraform and its provider already
    configuration = _terraform_configuration()
    if configuration is not None:
        yield ok("AWS provider's registry", f"as `{configuration}` says; not looked at")
        return
    host = _terraform_host()
    is_cached = terraform_mirror.has(paths.cache / "terraform", version)
    consequence = NOT_NOW if is_cached else "The first `make local-up` needs it."
    fix = "A folder that has the provider is named by TF_PLUGIN_DIR."
    bad = Status.WARNING if is_cached else Status.FAILURE
    yield _found("AWS provider's registry", f"https://{host}", "/.well-known/terraform.json", (bad, consequence), fix)


def images(docker: Once[Docker], bad: Status, project: str) -> Iterator[Finding]:
    """The registry of images, which `project` of Compose's may have. Asked from here, though the daemon fetches."""
    if not docker().answers or not docker().registries:
        return
    url = docker().registries[0]
    if bad is not Status.FAILURE:
        without = (Status.WARNING, "Only RUNTIME=docker needs it.")
    elif has_containers(docker(), project):
        without = (Status.WARNING, NOT_NOW)
    else:
        without = (Status.FAILURE, "Images are to be fetched from it.")
    fix = "Docker's daemon fetches with its own proxy and mirrors: see docs.docker.com/engine/daemon/proxy."
    yield _found("images", url, "", without, fix, any_answer=True)


def _found(
    subject: str, registry: str, asked: str, without: tuple[Status, str], fix: str, any_answer: bool = False
) -> Finding:
    """Ask the registry for the path `asked`. `without`: what it is when there is no answer, and what that means."""
    shown = _without_password(registry)
    bad, consequence = without
    if not registry.startswith(("http://", "https://")):
        return ok(subject, f"`{shown}`, which is not on the network")
    try:
        status = _ask(registry.rstrip("/") + asked if asked else registry)
    except SetupError as error:
        return Finding(subject, bad, error.problem, error.fix)
    except (OSError, ValueError, http.client.HTTPException) as error:
        proxy = _proxy(registry)
        why, first = _why(error, bool(proxy))
        through = f", through the proxy `{_without_password(proxy)}`," if proxy else ""
        return Finding(subject, bad, f"`{shown}`{through} {why}. {consequence}", f"{first} {fix}")
    if any_answer or status < 400:
        return ok(subject, f"`{shown}` answers")
    if status in FORBIDDEN:
        found = f"`{shown}` answers {status}: it wants credentials, which its client may have, and this has not."
        return warning(subject, found, "`make setup` shows whether it has; if not, put them into the URL, or ~/.netrc.")
    return Finding(subject, bad, f"`{shown}` answers {status} to what set-up asks first. {consequence}", fix)


def _without(todo: list[plan.Step], names: set[str]) -> tuple[Status, str]:
    """How bad it is that a registry does not answer: what set-up still has to fetch from it decides."""
    titles = [step.title for step in todo if step.name in names]
    if not titles:
        return Status.WARNING, NOT_NOW
    return Status.FAILURE, f"Set-up fetches from it: {', '.join(titles)}."


def _ask(url: str) -> int:
    """The status of the answer. Raises what an HTTP client raises when there is none in time: the look-up of a name
    knows no time-out, so one that takes too long is left behind."""
    answers: list[int | Exception] = []

    def ask() -> None:
        try:
            answers.append(_status(url))
        except Exception as error:
            answers.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(SECONDS)
    answer = answers[0] if answers else TimeoutError()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _status(url: str) -> int:
    parts = urllib.parse.urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    request = urllib.request.Request(bare.geturl(), method="HEAD", headers={"User-Agent": "drydock"})  # noqa: S310
    if parts.username:
        pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        request.add_header("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}")
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=_context()))
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


def _context() -> ssl.SSLContext:
    """Trusts whom the clients trust: the authorities that the user has named, else those that come with them."""
    bundle = _bundle()
    if bundle is None:
        return ssl.create_default_context(cafile=_certifi())
    name, place = bundle
    try:
        if Path(place).is_dir():
            return ssl.create_default_context(capath=place)
        return ssl.create_default_context(cafile=place)
    except OSError as error:
        reason = "not there" if isinstance(error, FileNotFoundError) else "no bundle of certificates"
        raise SetupError(f"{name} is `{place}`, which is {reason}.", f"Mend it, or `unset {name}`.") from error


def _bundle() -> tuple[str, str] | None:
    return next(((name, os.environ[name]) for name in network.AUTHORITIES if os.environ.get(name)), None)


def _certifi() -> str | None:
    for module in ("certifi", "pip._vendor.certifi"):
        try:
            return str(importlib.import_module(module).where())
        except ModuleNotFoundError:
            continue
    return None


def _why(error: Exception, has_proxy: bool) -> tuple[str, str]:
    """Why there was no answer, to follow the registry's name, and what mends it."""
    reason: Any = error.reason if isinstance(error, urllib.error.URLError) else error
    check = "Check the network; behind a proxy, `export HTTPS_PROXY=http://PROXY:PORT`."
    if has_proxy:
        check = "Check the proxy that HTTPS_PROXY names; what needs none belongs into NO_PROXY."
    if isinstance(reason, ssl.SSLCertVerificationError):
        bundle = _bundle()
        trusted = f"`{bundle[1]}` ({bundle[0]}) does not hold" if bundle else "no bundle at hand holds"
        return (
            f"shows a certificate of an authority that {trusted} ({reason.verify_message})",
            "If your network inspects TLS, name its authorities: `export SSL_CERT_FILE=/path/to/bundle.pem` (or "
            "REQUESTS_CA_BUNDLE: either is told to all clients).",
        )
    if isinstance(reason, TimeoutError):
        return f"did not answer within {SECONDS} s", check
    said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return f"cannot be reached ({said})", check


def _proxy(url: str) -> str:
    """The proxy that the way to a URL leads through; empty where there is none."""
    parts = urllib.parse.urlsplit(url)
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    return urllib.request.getproxies().get(parts.scheme, "")


def _without_password(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def _uv_index() -> str:
    """As uv finds it: by variable, in its own configuration, or the default that it shares with pip."""
    variables = network.environment()
    given = variables.get("UV_DEFAULT_INDEX") or variables.get("UV_INDEX_URL")
    if given:
        return re.sub(r"^[\w.-]+=(?=\w+:)", "", given)  # uv takes `name=URL` as well
    user = Path(variables.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "uv" / "uv.toml"
    files = [Path(variables["UV_CONFIG_FILE"])] if variables.get("UV_CONFIG_FILE") else [user, Path("/etc/uv/uv.toml")]
    for file in files:
        if file.is_file():
            written = tomllib.loads(file.read_text())
            named = [str(each["url"]) for each in written.get("index", []) if each.get("default")]
            named += [str(it["index-url"]) for it in (written, written.get("pip", {})) if "index-url" in it]
            if named:
                return named[0]
    return _default_index()


def _pip_index() -> str:
    """As pip finds it: by variable, in its own configuration (which it is asked for), or its default."""
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"]
    command = [sys.executable, "-m", "pip", "config", "list"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS).stdout
    written = dict(re.findall(r"^(global|install)\.index-url='(.*)'$", said, re.MULTILINE))
    return written.get("install") or written.get("global") or _default_index()


def _default_index() -> str:
    return str(importlib.import_module("pip._internal.models.index").PyPI.simple_url)


def _terraform_host() -> str:
    """The registry that Terraform takes `hashicorp/aws` from. It says so without asking anybody."""
    asks = 'terraform {\n  required_providers {\n    aws = { source = "hashicorp/aws" }\n  }\n}\n'
    with tempfile.TemporaryDirectory(prefix="registry-") as folder:
        (Path(folder) / "main.tf").write_text(asks)
        said = subprocess.run(
            ["terraform", f"-chdir={folder}", "providers"],
            env=terraform_program.environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=SECONDS,
        ).stdout
    found = re.search(r"provider\[([^/\]]+)/hashicorp/aws\]", said)
    if found is None:
        raise SetupError("`terraform providers` does not say which registry it asks.", "`make local-up` shows it.")
    return found[1]


def _terraform_configuration() -> Path | None:
    """The user's own configuration of Terraform, if that says where providers come from."""
    named = os.environ.get("TF_CLI_CONFIG_FILE")
    file = Path(named) if named and Path(named).is_file() else Path.home() / ".terraformrc"
    return file if file.is_file() and "provider_installation" in file.read_text(errors="replace") else None
