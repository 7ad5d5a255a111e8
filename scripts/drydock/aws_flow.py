"""`make aws-flow FLOW= DATE= INPUTS=`: any flow of the checkout, once, on the deployed platform.

As `make flow` does it locally. Kestra's engine runs on this machine meanwhile; clusters, jobs and data are on AWS.
"""

from drydock import settings
from drydock.flow import DateOption, FlowOption, InputsOption, read_inputs, run_once, warn_of_other_jobs
from drydock.on_aws import account, orchestrator


def aws_flow(name: FlowOption = "", date: DateOption = "", inputs: InputsOption = "") -> None:
    """Run a flow once on the platform in the AWS account that the environment leads to."""
    given = read_inputs(name, date, inputs)
    found = account.opened(settings.Paths())
    with account.held(found, "aws-flow"):
        config = found.site.platform_config()
        warn_of_other_jobs(found.site)
        with orchestrator.opened(found.site, config) as engine:
            run_once(found.site, engine, name, given)
