"""For all tests."""

import signal

# A shell that starts pytest in the background has it ignore SIGINT, and so would every program that the tests start
# and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
