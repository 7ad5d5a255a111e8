"""orders_by_customer on a cluster: what it writes, and that a failure is one."""

import json
from pathlib import Path

import pytest

JOB = Path(__file__).with_name("orders_by_customer.py")
ORDERS = [{"customer": "Ann", "amount": 10.5}, {"customer": "Bob", "amount": 7}, {"customer": "Ann", "amount": 0.25}]


def test_orders_are_added_up(platform, submit, s3_folder):
    platform.put(f"{s3_folder}/orders/1.json", "\n".join(map(json.dumps, ORDERS)).encode())
    printed = submit(JOB, "--source", f"{s3_folder}/orders", "--target", f"{s3_folder}/by_customer")
    assert printed.splitlines() == ["2 customers"]
    written = platform.get(f"{s3_folder}/by_customer")
    rows = [json.loads(line) for name, body in written.items() if name != "_SUCCESS" for line in body.splitlines()]
    assert sorted(rows, key=lambda row: row["customer"]) == [
        {"customer": "Ann", "orders": 2, "amount": 10.75},
        {"customer": "Bob", "orders": 1, "amount": 7.0},
    ]


def test_a_source_that_is_not_there_fails_the_step(submit, s3_folder):
    with pytest.raises(RuntimeError, match=r"(?s)is FAILED.*PATH_NOT_FOUND"):
        submit(JOB, "--source", f"{s3_folder}/nothing", "--target", f"{s3_folder}/by_customer")
