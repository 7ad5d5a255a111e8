"""`make aws-flow`: a flow of the checkout, by an engine that is there for it, as the deployment's role."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from drydock import aws_flow, settings
from drydock.errors import UsageError
from drydock.on_aws import account
from drydock.on_aws.account import Deployment, Identity
from drydock.site import AWS, Verbs
from tests.engine.conftest import SAY
from tests.engine.engine_rig import NAMESPACE
from tests.engine.test_on_aws import CONFIG, Account, Sts, deployment, engines


class S3:
    """Holds the description of a platform whose jobs are others than the checkout's."""

    def get_object(self, **_: str) -> dict[str, Any]:
        document = {**CONFIG, "application_uri": "s3://acme-spark-job-data-input/spark_app/0123456789ab-fedcba987654"}
        return {"Body": io.BytesIO(json.dumps(document).encode())}


class AccountWithJobs(Account):
    def client(self, service: str) -> Any:
        return {"s3": S3, "sts": Sts}[service]()


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A deployment; the folder of what is kept about it."""
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "say.yaml").write_text(f"id: say\nnamespace: {NAMESPACE}\n{SAY}")
    monkeypatch.setattr(settings.Paths, "flows", flows)
    found = deployment(tmp_path)
    jobs = AccountWithJobs(Session(), "eu-central-1")
    verbs = Verbs(deploy="deploy-aws", run="aws-run", status="aws-status", end="destroy-aws")
    where = replace(found, profile=AWS, account=jobs, verbs=verbs)
    identity = Identity("123456789012", "arn:aws:iam::123456789012:user/ann")
    monkeypatch.setattr(account, "opened", lambda _: Deployment(identity, where))
    return tmp_path


def test_a_flow_runs_and_is_told_of(deployed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aws_flow.aws_flow("say", "", '{"word": "ahoy"}')
    told = capsys.readouterr()
    assert re.search(r"✓ Ran say \(word=ahoy\) \(\d+ s\)\n  word: ahoy\n$", told.out), told.out
    assert "! The platform has other jobs than `spark/`, and runs them: `make deploy-aws` uploads these." in told.err
    with pytest.raises(UsageError, match=r"FLOW is `monthly`; Kestra knows no flow of that name\. There are: say\."):
        aws_flow.aws_flow("monthly")
    assert engines(deployed) == []
