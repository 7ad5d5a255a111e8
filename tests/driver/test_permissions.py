"""kestra-role may do on EMR what the driver does, and nothing else."""

import ast
import inspect
import re

from botocore import xform_name
from botocore.session import Session

from drydock import settings, terraform
from drydock_driver import emr_api

ROLES = terraform.CONFIGURATION / "modules" / "iam" / "main.tf"
# A RunJobFlow with an auto-termination policy needs this right as well.
WITH_RUN_JOB_FLOW = {"PutAutoTerminationPolicy"}


def test_the_role_s_rights_are_the_driver_s_calls() -> None:
    granted = set(re.findall(r'"elasticmapreduce:(\w+)"', ROLES.read_text()))
    assert granted == called() | WITH_RUN_JOB_FLOW


def test_make_names_the_role_as_terraform_does() -> None:
    assert f'name        = "${{var.name_prefix}}{settings.KESTRA_ROLE}"' in ROLES.read_text()


def called() -> set[str]:
    """EMR's operations that `emr_api` calls, by a client's method or by a paginator."""
    operations = {xform_name(operation): operation for operation in Session().get_service_model("emr").operation_names}
    tree = ast.parse(inspect.getsource(emr_api.Emr))
    methods = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Attribute)
        and node.value.attr in ("_client", "_unrepeatable")
    }
    paginated = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in operations}
    assert "get_paginator" in methods
    return {operations[method] for method in (methods - {"get_paginator"}) | paginated}
