"""`make aws-run DATE= ROWS=`: a day of shipments on the deployed platform, through the flows and driver of every day.

Kestra's engine runs on this machine for as long as the day takes; clusters, jobs and data are on AWS. Flows and driver
are those that were deployed with the jobs, whatever the checkout has.
"""

import time

from drydock import output, settings, summary
from drydock.day import DateOption, RowsOption, parse_date, parse_rows
from drydock.errors import SetupError
from drydock.on_aws import account, bundles, orchestrator
from drydock.run import run_day


def aws_run(date: DateOption = "", rows: RowsOption = "") -> None:
    """Run a day on the platform in the AWS account that the environment leads to, and show what came of it."""
    day, row_count = parse_date(date), parse_rows(rows)
    begun_at = time.monotonic()
    found = account.opened(settings.Paths())
    with account.held(found, "aws-run"):
        config, bundle = found.site.platform_config(), bundles.deployed(found.site)
        if bundle is None:
            raise SetupError("No flows are deployed yet: `make deploy-aws` has not come to its end, and goes on.")
        with orchestrator.opened(found.site, config, bundle) as engine:
            run_id = run_day(found.site, engine, day, row_count)
        summary.show_day(found.site, day, run_id, row_count)
    output.done(f"{day} is done, after {time.monotonic() - begun_at:.0f} s.")
