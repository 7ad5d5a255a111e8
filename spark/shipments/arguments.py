"""The jobs' command-line arguments: what is not well formed is refused in one sentence, before anything is touched.

Each function below is an argparse `type`: it takes the argument's text and raises `argparse.ArgumentTypeError`.
argparse then prints the sentence and exits with code 2.
"""

import argparse
import datetime as dt
import re
import sys
from typing import NoReturn
from urllib.parse import urlsplit

MAX_ROWS = 10**9
MAX_SEED = 2**63 - 1


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is a single sentence; `--help` has the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}. See --help.\n")


def parser(description: str) -> Parser:
    """A parser that takes no abbreviated options, so that a new option never changes what an old command means."""
    return Parser(description=description, allow_abbrev=False)


def day(text: str) -> dt.date:
    """A date, strictly YYYY-MM-DD."""
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        try:
            return dt.date.fromisoformat(text)
        except ValueError:
            pass
    raise argparse.ArgumentTypeError(f"`{text}` is not a date of the form YYYY-MM-DD")


def row_count(text: str) -> int:
    """A whole number of rows, 0 to a thousand million."""
    return _whole_number(text, "a number of rows", MAX_ROWS)


def seed(text: str) -> int:
    """A whole number, 0 to 2^63 - 1."""
    return _whole_number(text, "a seed", MAX_SEED)


def share(text: str) -> float:
    """A share between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not a share between 0 and 1")
    return value


def folder(text: str) -> str:
    """An `s3://bucket/prefix` or `file:///absolute/path` URI; returned without trailing slashes."""
    parts = urlsplit(text)
    is_s3 = parts.scheme == "s3" and bool(parts.netloc)
    is_file = parts.scheme == "file" and not parts.netloc and len(parts.path.rstrip("/")) > 0
    if not (is_s3 or is_file) or parts.query or parts.fragment or any(c.isspace() for c in text):
        raise argparse.ArgumentTypeError(f"`{text}` is neither `s3://bucket/prefix` nor `file:///absolute/path`")
    return text.rstrip("/")


def _whole_number(text: str, what: str, maximum: int) -> int:
    if re.fullmatch(r"\d+", text, re.ASCII) and len(text) <= sys.int_info.default_max_str_digits:
        value = int(text)
        if value <= maximum:
            return value
    raise argparse.ArgumentTypeError(f"`{text}` is not {what}: expected a whole number between 0 and {maximum}")
