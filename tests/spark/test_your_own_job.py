"""The tests that `docs/your-own-job.md` shows, of the job that it shows: both as they lie in `examples/`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples" / "your-own-job"))

from test_carrier_monthly import daily, test_a_month_is_replaced_and_no_other, test_the_days_of_a_month_are_added_up

__all__ = ["daily", "test_a_month_is_replaced_and_no_other", "test_the_days_of_a_month_are_added_up"]
