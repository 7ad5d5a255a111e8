"""The gateway's store beside LocalStack's own, as Markdown tables: PUT and GET, memory, and how long reopening takes.

    .drydock/envs/workspace/bin/python bench/gateway_store.py

`make bench` runs it. Two gateways, each in a folder of its own, are the same but for who keeps S3's objects. Requests
are presigned before the clock runs, so that the client, which shares the machine, costs as little as it can; the
gateway's processor time is beside. The two take turns, in an order that changes, and the median of the turns counts.
"""

import argparse
import os
import random
import secrets
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psutil
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from emr_api import machine
from processor_time import processor_seconds

from drydock import aws, health, services
from drydock.second_home import free_ports, second_home
from drydock.secrets import ensure, operator_key
from drydock.settings import REGION, REPOSITORY, Paths, Ports

# The gateway has an environment of its own; these two modules need nothing of it.
sys.path.insert(0, str(REPOSITORY / "gateway"))
from drydock_gateway.store.folder import Folder
from drydock_gateway.store.records import read_document

BUCKET = "bench"
OURS, STOCK = "the store", "LocalStack's own"
PROVIDERS = {OURS: "drydock", STOCK: "default"}
CONNECTIONS = 4
DEADLINE_SECONDS = 120
MEGABYTE = 1 << 20


@dataclass
class Gateway:
    """A running gateway."""

    paths: Paths
    ports: Ports
    process: psutil.Process

    def __post_init__(self) -> None:
        self.s3 = aws.operator_client("s3", self.paths, self.ports)
        key = operator_key(self.paths)
        self.signer = S3SigV4QueryAuth(
            Credentials(key.access_key_id, key.secret_access_key), "s3", REGION, expires=DEADLINE_SECONDS
        )

    def send(self, method: str, urls: list[str], body: bytes, connections: int) -> None:
        """Send all requests, over so many connections at a time. Raises RuntimeError unless all succeed."""

        def one(share: list[str]) -> None:
            connection = HTTPConnection("127.0.0.1", self.ports.gateway, timeout=DEADLINE_SECONDS)
            for url in share:
                connection.request(method, url, body)
                answer = connection.getresponse()
                content = answer.read()
                if answer.status != 200:
                    raise RuntimeError(f"{method} was answered with {answer.status}: {content[:300]!r}")
            connection.close()

        with ThreadPoolExecutor(connections) as pool:
            list(pool.map(one, [urls[number::connections] for number in range(connections)]))

    def presigned(self, method: str, keys: list[str]) -> list[str]:
        made = []
        for key in keys:
            request = AWSRequest(method, f"{self.ports.gateway_url}/{BUCKET}/{quote(key)}")
            self.signer.add_auth(request)
            made.append("{0.path}?{0.query}".format(urlsplit(str(request.url))))
        return made

    @property
    def memory_mib(self) -> float:
        return float(self.process.memory_info().rss) / MEGABYTE


@dataclass(frozen=True)
class Load:
    """`count` objects of `size` bytes, put and then read over so many connections."""

    what: str
    count: int
    size: int
    connections: int


LOADS = (
    Load("10 KiB, one after the other", 300, 10 << 10, 1),
    Load(f"10 KiB, {CONNECTIONS} connections", 600, 10 << 10, CONNECTIONS),
    Load("8 MiB, one after the other", 16, 8 * MEGABYTE, 1),
)


def main() -> None:
    arguments = _arguments()
    print(f"{machine()}; load average {os.getloadavg()[0]:.1f} at first.\n", flush=True)
    with gateway(PROVIDERS[OURS]) as ours, gateway(PROVIDERS[STOCK]) as stock:
        compare({OURS: ours, STOCK: stock}, arguments.turns)
    reopen(arguments.objects)


def compare(gateways: dict[str, Gateway], turns: int) -> None:
    for each in gateways.values():
        each.s3.create_bucket(Bucket=BUCKET)
    print("| | PUT/s | own | ratio | GET/s | own | ratio | processor ms a PUT and GET | own |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for load in LOADS:
        seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
        for turn in range(turns):
            for name in random.sample(sorted(gateways), len(gateways)):
                for what, took in run(gateways[name], load, turn).items():
                    seconds[name, what].append(took)
        median = {key: statistics.median(values) / load.count for key, values in seconds.items()}
        cells = []
        for what in ("PUT", "GET"):
            cells += [1 / median[OURS, what], 1 / median[STOCK, what], median[STOCK, what] / median[OURS, what]]
        rates = " | ".join(f"{cell:.0f}" if index % 3 < 2 else f"{cell:.2f}" for index, cell in enumerate(cells))
        processor = " | ".join(f"{1000 * median[name, 'processor']:.1f}" for name in (OURS, STOCK))
        print(f"| {load.what} | {rates} | {processor} |", flush=True)
    print("\n| memory MiB | the store | LocalStack's own |\n|---|--:|--:|")
    before = {name: each.memory_mib for name, each in gateways.items()}
    for what, count, size in (("500 objects of 400 KiB", 500, 400 << 10), ("50 of 20 MiB", 50, 20 * MEGABYTE)):
        for each in gateways.values():
            urls = each.presigned("PUT", [f"{what}/{number}" for number in range(count)])
            each.send("PUT", urls, secrets.token_bytes(size), CONNECTIONS)
        grown = " | ".join(f"+{each.memory_mib - before[name]:.0f}" for name, each in gateways.items())
        print(f"| after {what} | {grown} |", flush=True)


def run(gateway: Gateway, load: Load, turn: int) -> dict[str, float]:
    """Seconds of all PUTs, of all GETs, and of processor time of the gateway for both."""
    keys = [f"{load.what}/{turn}/{number}" for number in range(load.count)]
    body = secrets.token_bytes(load.size)
    used, seconds = processor_seconds(gateway.process), {}
    for method, content in (("PUT", body), ("GET", b"")):
        urls = gateway.presigned(method, keys)
        began = time.monotonic()
        gateway.send(method, urls, content, load.connections)
        seconds[method] = time.monotonic() - began
    return {**seconds, "processor": processor_seconds(gateway.process) - used}


def reopen(count: int) -> None:
    """A gateway with an object, ended and started again; then with `count` of them."""
    with second_home() as paths:
        with gateway(PROVIDERS[OURS], paths) as first:
            first.s3.create_bucket(Bucket=BUCKET)
            first.s3.put_object(Bucket=BUCKET, Key="one", Body=b"x" * 100, ContentType="text/csv")
        print("\n| objects reopened | seconds until it answers | memory MiB |\n|---|--:|--:|")
        for number in (1, count):
            fill(paths, number)
            began = time.monotonic()
            with gateway(PROVIDERS[OURS], paths) as again:
                print(f"| {number:,} | {time.monotonic() - began:.1f} | {again.memory_mib:.0f} |", flush=True)


def fill(paths: Paths, count: int) -> None:
    """Records like that of the one object, under other keys: as the gateway would have written them, only sooner."""
    store = Path(services.gateway(paths, Ports(offset=0)).environment["DRYDOCK_GATEWAY_STORE"])
    objects = store / "buckets" / BUCKET / "objects"
    [record, *_] = objects.iterdir()
    document, _ = read_document(record)
    folder = Folder(store)
    for number in range(count):
        key = f"ship_date=2026-01-01/block-{number:08}.parquet"
        draft = folder.draft()
        draft.append(b"x" * 100)
        draft.seal({**document, "key": key}, folder.next_sequence())
        draft.publish(objects / sha256(f"{key}?null".encode()).hexdigest())
    folder.close()


@contextmanager
def gateway(provider: str, paths: Paths | None = None) -> Iterator[Gateway]:
    """A gateway whose S3 is that provider's, for as long as the context lasts."""
    if paths is None:
        with second_home() as own, gateway(provider, own) as running:
            yield running
        return
    ensure(paths)
    ports = free_ports()
    service = services.gateway(paths, ports)
    service.directory.mkdir(parents=True, exist_ok=True)
    environment = {**service.environment, "PROVIDER_OVERRIDE_S3": provider}
    with (
        (paths.home / "gateway.log").open("wb") as log,
        subprocess.Popen(
            service.command, env=environment, cwd=service.directory, stdout=log, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            _await(lambda: health.gateway(paths, ports))
            yield Gateway(paths, ports, psutil.Process(process.pid))
        finally:
            process.terminate()


def _await(check: Callable[[], Any]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            check()
        except health.Unhealthy:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=5, help="of each load on each gateway")
    parser.add_argument("--objects", type=int, default=100_000, help="to be reopened")
    return parser.parse_args()


if __name__ == "__main__":
    main()
