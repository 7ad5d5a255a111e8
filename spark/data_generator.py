"""Generate a day of synthetic shipments.

    spark-submit --py-files shipments.zip data_generator.py --date 2026-01-31 --target s3://bucket/prefix [--rows N]

Writes `<target>/ship_date=<date>/block-NNNNN.parquet` and, last, `manifest.json`; what was there of the date is
replaced. The same seed, date and number of rows give the same bytes. Exit codes: 0 written; 1 not; 2 wrong usage.
"""

import sys
from typing import Any

from shipments import arguments, seasonality
from shipments.generation import Order, generate
from shipments.session import run_job


def main(argv: list[str]) -> int:
    parser = arguments.parser("Generate a day of synthetic shipments.")
    parser.add_argument("--date", type=arguments.day, required=True, help="the ship date, YYYY-MM-DD")
    parser.add_argument("--target", type=arguments.folder, required=True, help="s3:// or file:/// URI of the raw data")
    parser.add_argument("--rows", type=arguments.row_count, help="raw rows; by default what weekday and season suggest")
    parser.add_argument("--seed", type=arguments.seed, default=42, help="another seed, another day (default: 42)")
    parser.add_argument(
        "--broken-share", type=arguments.share, default=0.01, help="share of broken rows (default: 0.01)"
    )
    given = parser.parse_args(argv)
    rows = seasonality.default_rows(given.date) if given.rows is None else given.rows
    order = Order(given.date, rows, given.target, given.seed, given.broken_share)

    def job(spark: Any) -> dict[str, Any]:
        manifest = generate(spark, order)
        return {
            "job": "data_generator",
            "date": manifest.date.isoformat(),
            "target": order.target,
            "seed": manifest.seed,
            "rows": manifest.rows,
            "bytes": manifest.bytes,
            "blocks": len(manifest.blocks),
            "injected": manifest.injected,
        }

    return run_job("data_generator", job)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
