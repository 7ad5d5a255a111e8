"""The page of a deployment, as a reader has it: which is one file, and says what came of it."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from drydock.on_aws import trial
from drydock.on_aws.account import Deployment, Identity
from drydock.on_aws.deployment_page import Deployed, page
from drydock.on_aws.flow_changes import between

from .scripted_s3 import site

OUTPUTS = {
    "buckets": {"input": "acme-spark-job-data-input", "output": "acme-spark-job-data-output"},
    "platform_config_uri": "s3://acme-spark-job-data-input/config/platform.json",
    "platform_config": {
        "release_label": "emr-7.13.0",
        "instance_types": {"master": "m5.xlarge", "core": "m5.2xlarge"},
        "core_count": 2,
        "roles": {
            "service": "acme-emr-service-role",
            "instance_profile": "acme-emr_instance_profile",
            "kestra_arn": "arn:aws:iam::123456789012:role/acme-kestra-role",
        },
        "subnet_id": "subnet-1",
        "security_groups": {"master": "sg-1", "slave": "sg-2"},
        "idle_timeout_seconds": 900,
    },
}


class Reader(HTMLParser):
    """Rows by section; text that a reader sees; addresses that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.sections: dict[str, dict[str, str]] = {}
        self.fetched: list[str] = []
        self._tag, self._row = "", ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._tag = tag if tag in ("h2", "th", "td", "p", "footer") else self._tag
        self.fetched += [
            str(value) for name, value in attributes if name == "src" or (tag == "link" and name == "href")
        ]

    def handle_data(self, data: str) -> None:
        if not data.strip() or self._tag == "footer":
            return
        if self._tag == "h2":
            self.sections[data] = {}
        elif self.sections:
            rows = self.sections[list(self.sections)[-1]]
            if self._tag == "th":
                self._row = data
            else:
                name = self._row if self._tag == "td" else "says"
                rows[name] = f"{rows.get(name, '')} {data.strip()}".strip()


def read(**changed: Any) -> tuple[Reader, str]:
    where = site()
    where.pages = (("EMR console", "https://eu-central-1.console.aws.amazon.com/emr"),)
    deployed = {
        "where": Deployment(Identity("123456789012", "arn:aws:iam::123456789012:user/<alice>"), where),
        "revision": "0a1b2c3d4e5f-1a2b3c",
        "outputs": OUTPUTS,
        "tried": {},
        "costs": ["A run of a job costs about $0.18."],
        "flows": ["sweep.yaml", "daily.yaml"],
        "changes": [],
    }
    html = page(Deployed(**{**deployed, **changed}), datetime(2026, 1, 15, 10, 30, tzinfo=UTC))
    reader = Reader()
    reader.feed(html)
    return reader, html


def test_it_says_where_everything_is() -> None:
    reader, html = read()
    assert "<title>Drydock in account 123456789012, us-east-1</title>" in html
    assert "Deployed 2026-01-15 10:30 UTC" in html
    where = reader.sections["Where"]
    assert (where["Account"], where["Region"]) == ("123456789012", "us-east-1")
    assert where["Deployed by"] == "arn:aws:iam::123456789012:user/<alice>"
    assert where["Jobs"] == "0a1b2c3d4e5f-1a2b3c their revision"
    assert reader.sections["Buckets"]["output"] == "s3://acme-spark-job-data-output"
    assert reader.sections["Clusters"]["Nodes"] == "1 m5.xlarge, 2 m5.2xlarge"
    assert reader.sections["Clusters"]["Driver's role"] == "arn:aws:iam::123456789012:role/acme-kestra-role"
    assert reader.sections["What it costs"] == {"says": "A run of a job costs about $0.18."}
    assert "make destroy-aws" in reader.sections["Next"].values()


def test_it_is_one_file_and_escapes_what_it_is_told() -> None:
    reader, html = read()
    assert reader.fetched == []
    assert "<script" not in html
    assert "<alice>" not in html


def test_versions_that_are_not_the_releases_are_told() -> None:
    versions = {name: f"{version}-amzn-1" for name, version in trial.expected_versions().items()} | {"spark": "3.4.1"}
    tried = {"revision": "0a1b2c", "at": "2026-01-15T10:00:00+00:00", "told": {"versions": versions}}
    rows = read(tried=tried)[0].sections["Tried"]
    assert rows["spark"] == f"3.4.1 expected {trial.expected_versions()['spark']}"
    assert rows["hadoop"] == f"{trial.expected_versions()['hadoop']}-amzn-1"
    assert "with the jobs of 0a1b2c" in rows["says"]
    assert read()[0].sections["Tried"] == {"says": "No step has been tried yet."}


def test_it_says_what_became_of_each_flow() -> None:
    changes = between({"daily.yaml": "cron: 1\n", "gone.yaml": "id: gone\n"}, {"daily.yaml": "cron: 2\n"})
    rows = read(changes=changes)[0].sections["Flows"]
    assert {name: rows[name] for name in ("gone", "sweep")} == {"gone": "removed", "sweep": "as it was"}
    assert re.sub(r"\s+", " ", rows["daily"]) == "changed @@ -1 +1 @@ -cron: 1 +cron: 2"


@pytest.mark.parametrize("instance_id", [None, "i-0123"])
def test_it_says_where_kestra_is_and_no_password(instance_id: str | None) -> None:
    rows = read(outputs=OUTPUTS | ({"kestra_host": instance_id} if instance_id else {}))[0].sections["Kestra"]
    if instance_id is None:
        assert "There is no host, so no schedule fires." in rows["says"]
    else:
        assert rows["Host"] == "i-0123"
        assert rows["Password"].startswith("aws ssm get-parameter --name /drydock/acme-kestra-password")
