"""For all tests."""

import os
import signal
from pathlib import Path

# A shell that starts pytest in the background has it ignore SIGINT, and so would every program that the tests start
# and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What Hypothesis remembers of failures lies where everything generated does, not in the checkout.
HOME = Path(os.environ.get("DRYDOCK_HOME") or Path(__file__).parents[1] / ".drydock")
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(HOME / "cache" / "hypothesis"))

import hypothesis  # noqa: E402 - reads the variable above

# How long an example takes says something of the machine, which is shared, and nothing of what is tested.
hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")
