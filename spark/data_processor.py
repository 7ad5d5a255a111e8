r"""Turn a day of raw shipments into the five tables and the quarantine.

    spark-submit --py-files shipments.zip --jars delta-log-store.jar data_processor.py --date 2026-01-31 \
        --source s3://… --target s3://…

Reads `<source>/ship_date=<date>/` as its manifest describes it; replaces the date's rows of the Delta tables
`<target>/{carrier_performance,cost_analysis,daily_trends,route_efficiency,warehouse_demand}` and
`<target>/_quarantine/shipment`, and no other date's. Exit codes: 0 done; 1 not; 2 wrong usage.
"""

import sys
from typing import Any

from shipments import arguments
from shipments.processing import MAX_BROKEN_SHARE, process
from shipments.session import run_job


def main(argv: list[str]) -> int:
    parser = arguments.parser("Turn a day of raw shipments into the five tables and the quarantine.")
    parser.add_argument("--date", type=arguments.day, required=True, help="the ship date, YYYY-MM-DD")
    parser.add_argument("--source", type=arguments.folder, required=True, help="s3:// or file:/// URI of the raw data")
    parser.add_argument("--target", type=arguments.folder, required=True, help="s3:// or file:/// URI of the tables")
    parser.add_argument(
        "--max-broken-share",
        type=arguments.share,
        default=MAX_BROKEN_SHARE,
        help=f"the share of rows that may break a rule; with more nothing is written (default: {MAX_BROKEN_SHARE})",
    )
    given = parser.parse_args(argv)

    def job(spark: Any) -> dict[str, Any]:
        done = process(spark, given.date, given.source, given.target, given.max_broken_share)
        return {
            "job": "data_processor",
            "date": given.date.isoformat(),
            "target": given.target,
            "rows": done.rows,
            "accepted": done.accepted,
            "quarantined": done.quarantined,
            "quarantined_by_rule": done.quarantined_by_rule,
            "tables": done.table_rows,
            "stale_days": [day.isoformat() for day in done.stale_days],
        }

    return run_job("data_processor", job)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
