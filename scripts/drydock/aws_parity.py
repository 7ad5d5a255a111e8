"""`make aws-parity`: what of a deployment on AWS is as in this checkout and on the local platform.

The local platform's side is what `make parity` found last; AWS's is asked of the account, and of the step by which
`make deploy-aws` tried it: no cluster is made.
"""

from drydock import jobs, output, settings
from drydock.day import DateOption, parse_date
from drydock.on_aws import account, bundles, trial
from drydock.parity import FileOption, compare, json_file, report
from drydock.parity_of import facts, files, tables
from drydock.parity_of.comparison import AWS, LOCAL


def aws_parity(date: DateOption = "", file: FileOption = "") -> None:
    """Compare the platform in the AWS account that the environment leads to with this checkout and the local platform.

    Exit codes: 0 nothing differs that is not known; 1 something does, or cannot be asked; 2 wrong usage.
    """
    asked = parse_date(date) if date else None
    target = json_file(file)
    found = account.opened(settings.Paths())
    where = found.site
    with output.stage("Asking the account"):
        told = trial.newest(where).get("told", {})
        bundle, here = bundles.deployed(where), jobs.revision(where.paths, where.directory)
        flows = files.by_id(bundle.flows) if bundle else {}
        there = facts.gather(where, here, told, flows, tables.read(where, asked))
    local = facts.kept(where.paths)
    if local is not None and local.revision != there.revision:
        output.warn(f"`make parity` looked at jobs of revision {local.revision}: that is not compared. It looks anew.")
        local = None
    elif local is None:
        output.warn("`make parity` has not been run yet, so the local platform is not compared.")
    report(compare(where, here, {**({LOCAL: local} if local else {}), AWS: there}), target)
