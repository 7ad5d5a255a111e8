"""The documentation's picture and tables against the code they describe."""

import re

import pytest

from drydock import services, settings

ARCHITECTURE = (settings.REPOSITORY / "docs" / "architecture.md").read_text()
PAGES = [settings.REPOSITORY / "README.md", *sorted((settings.REPOSITORY / "docs").rglob("*.md"))]
PAGES.append(settings.REPOSITORY / "terraform" / "README.md")
PROGRAMS = [
    file
    for folder in ("emr/drydock_emr", "gateway/drydock_gateway", "kestra/driver", "scripts", "spark")
    for file in sorted((settings.REPOSITORY / folder).rglob("*.py"))
]
EXAMPLES = sorted(file for file in (settings.REPOSITORY / "examples").rglob("*.*") if file.suffix in (".py", ".yml"))
YOUR_OWN_JOB = ("carrier_monthly.py", "test_carrier_monthly.py", "carrier_monthly.yaml")
SHOWN = re.compile(r"^<!-- (examples/\S+) -->\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURE = ARCHITECTURE.split("```mermaid")[1].split("```")[0]


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> settings.Ports:
    monkeypatch.setenv("DRYDOCK_PORT_OFFSET", "0")
    return settings.Ports()


def test_every_service_is_in_the_picture_and_in_the_table() -> None:
    drawn = set(re.findall(r'^\s+\w+\["([\w-]+)', PICTURE, re.MULTILINE))
    for name in services.names(settings.Paths()):
        assert name in drawn
        assert f"`{name}`" in ARCHITECTURE


def test_the_ports_in_the_picture_are_the_ports_in_use(ports: settings.Ports) -> None:
    drawn = {int(port) for port in re.findall(r":(\d{4,5})", PICTURE)}
    nodes = [ports.node_ui(i) for i in (1, 2, 3)]
    assert drawn == {ports.gateway, ports.kestra, ports.emr, ports.history_server, *nodes}


def test_the_folders_and_modules_named_exist() -> None:
    for name in re.findall(
        r"`((?:scripts|gateway|emr|kestra|spark|terraform|tests|requirements)/[\w/.]*)`", ARCHITECTURE
    ):
        assert (settings.REPOSITORY / name).exists(), name


def test_no_target_of_the_makefile_is_named_that_does_not_exist() -> None:
    makefile = (settings.REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):(?!=)", makefile, re.MULTILINE))
    naming = re.compile(
        r"(?:`|^|\$\(|run: )make (?:-s )?(?:-C \w+ )?([a-z][a-z0-9-]*)|make ([a-z][a-z0-9-]*) [A-Z]+=", re.MULTILINE
    )
    found = ((file, match) for file in (*PAGES, *PROGRAMS, *EXAMPLES) for match in naming.finditer(file.read_text()))
    named = {(str(file), match[1] or match[2]) for file, match in found}
    assert {target for _, target in named} >= {"demo", "local-up", "run"}
    assert [(file, target) for file, target in named if target not in targets] == []


def test_every_link_between_pages_leads_somewhere() -> None:
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())]
    between_pages = [(page, link) for page, link in links if "://" not in link]
    assert between_pages
    assert [(page, link) for page, link in between_pages if not (page.parent / link).exists()] == []


def test_files_that_a_page_shows_are_those_that_are_there() -> None:
    shown = {(page.name, match[1]): match[2] for page in PAGES for match in SHOWN.finditer(page.read_text())}
    assert set(shown) == {
        *(("your-own-job.md", f"examples/your-own-job/{name}") for name in YOUR_OWN_JOB),
        *(("ci.md", f"examples/ci/{name}") for name in ("workflow.yml", "test_orders_by_customer.py")),
    }
    for (_, name), text in shown.items():
        assert text == (settings.REPOSITORY / name).read_text(), name
