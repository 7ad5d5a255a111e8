"""The console shows what the API says, to whoever has the token and to nobody else."""

import httpx
import pytest

from tests.emr.conftest import Emr, Fleet, run_job_flow, state_of, step

pytestmark = pytest.mark.both_databases

TOKEN = "console-token-0123456789"


def test_the_token_opens_and_nothing_else_does(emr: Emr) -> None:
    for path in ("/clusters", "/clusters/j-X", "/?token=wrong"):
        assert httpx.get(emr.url + path).status_code == 401
    assert httpx.get(emr.url + "/clusters", cookies={"drydock_console": "wrong"}).status_code == 401
    response = httpx.get(emr.url + f"/?token={TOKEN}")
    assert (response.status_code, response.headers["location"]) == (303, "/clusters")
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_the_plainest_cluster_is_shown(emr: Emr) -> None:
    cluster_id = emr.client().run_job_flow(**run_job_flow())["JobFlowId"]
    response = httpx.get(f"{emr.url}/clusters/{cluster_id}", cookies={"drydock_console": TOKEN})
    assert response.status_code == 200
    assert "not kept" in response.text


def test_a_cluster_its_steps_and_nodes_are_shown(emr: Emr, fleet: Fleet) -> None:
    request = run_job_flow(
        Name="<script>alert(1)</script>",
        LogUri="s3://logs/prefix/",
        Steps=[step("count words", "spark-submit", "s3://b/a job.py")],
        Configurations=[{"Classification": "spark-defaults", "Properties": {"spark.a": "b"}}],
        BootstrapActions=[{"Name": "install", "ScriptBootstrapAction": {"Path": "s3://b/bootstrap.sh"}}],
    )
    client = emr.client()
    cluster_id = client.run_job_flow(**request)["JobFlowId"]
    fleet.until(lambda: state_of(client, cluster_id) == "RUNNING", "a running step")
    with httpx.Client(base_url=emr.url, cookies={"drydock_console": TOKEN}) as browser:
        listing = browser.get("/clusters").text
        page = browser.get(f"/clusters/{cluster_id}").text
        assert browser.get("/clusters/j-NONE").status_code == 404
    assert cluster_id in listing
    assert "127.0.0.11" in listing
    assert "<script>" not in listing + page
    for shown in (
        "count words",
        "RUNNING",
        "s3://b/bootstrap.sh",
        "spark.a=b",
        f"s3://logs/prefix/{cluster_id}/steps/s-",
    ):
        assert shown in page
