"""Kestra's pages, as a browser shows them: where its own image runs, for its engine has none."""

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

import pytest
import yaml

from drydock import executions, secrets, settings
from tests.e2e.conftest import KESTRA
from tests.platform.platform_rig import Platform

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.skipif(KESTRA != "image", reason="NOT PROVED: Kestra's engine has no pages, its image has")

# Kestra's own tests do the same, for its product tour not to lie over the page.
NO_TOUR = "localStorage.setItem('kestra.productTour.state', JSON.stringify({status: 'skipped'}))"


@pytest.fixture(scope="module")
def page(platform: Platform) -> Iterator["Page"]:
    """A page of a browser that has logged in."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, playwright.chromium.launch() as browser:
        page = browser.new_page(base_url=platform.ports.kestra_url)
        page.add_init_script(NO_TOUR)
        page.goto("/ui")
        page.get_by_role("textbox", name="Email").fill(settings.KESTRA_USERNAME)
        page.get_by_role("textbox", name="Password").fill(secrets.kestra_password(platform.paths))
        page.get_by_role("button", name="Login").click()
        page.wait_for_url(lambda url: "/login" not in url)
        yield page


def test_all_flows_are_listed(platform: Platform, page: "Page") -> None:
    flows = [yaml.safe_load(file.read_text())["id"] for file in platform.paths.flows.glob("*.yaml")]
    page.goto("/ui/main/flows")
    for flow in flows:
        page.get_by_role("link", name=flow, exact=True).first.wait_for()
    page.screenshot(path=settings.Paths().home / "reports" / "kestra-flows.png")


def test_an_execution_shows_where_it_is(platform: Platform, page: "Page", day: date) -> None:
    with executions.client(platform.paths, platform.ports) as kestra:
        execution = kestra.newest_execution(flowId="emr_cluster")
    assert execution is not None
    page.goto(f"/ui/main/executions/{execution['namespace']}/emr_cluster/{execution['id']}/topology")
    for task in ("create", "submit", "wait", "terminate"):
        page.locator(".vue-flow__node", has_text=task).first.wait_for()
    page.screenshot(path=settings.Paths().home / "reports" / "kestra-topology.png")
