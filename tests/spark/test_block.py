"""A block: drawn from (seed, date, block) alone, typed as declared, broken as counted, and plausible."""

import datetime as dt
import io

import duckdb
import numpy as np
import oracle
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipments import network, seasonality
from shipments.block import make_block
from shipments.rules import RULES
from shipments.schema import RAW_COLUMNS

DAY = dt.date(2026, 3, 10)


def table_of(block):
    return pq.read_table(io.BytesIO(block.content))


def query(table, sql):
    with duckdb.connect() as connection:
        connection.register("shipments", table)
        return connection.execute(sql).fetchall()


@pytest.fixture(scope="module")
def intact():
    return table_of(make_block(42, DAY, 0, 40_000, broken_share=0))


def test_same_seed_date_and_block_give_the_same_bytes():
    assert make_block(7, DAY, 3, 2_000, 0.01).sha256 == make_block(7, DAY, 3, 2_000, 0.01).sha256


@pytest.mark.parametrize("other", [(8, DAY, 3), (7, DAY + dt.timedelta(days=1), 3), (7, DAY, 4)])
def test_another_seed_date_or_block_gives_other_shipments(other):
    one, another = table_of(make_block(7, DAY, 3, 2_000, 0)), table_of(make_block(*other, 2_000, 0))
    for name in ("customer_id", "distance_km", "weight_kg", "total_cost"):
        assert one[name] != another[name]


def test_fewer_rows_are_a_prefix_of_more():
    fewer, more = table_of(make_block(7, DAY, 0, 1_234, 0.3)), table_of(make_block(7, DAY, 0, 5_000, 0.3))
    assert fewer == more.slice(0, 1_234)


def test_another_broken_share_leaves_the_intact_rows_as_they_are():
    intact, broken = (table_of(make_block(7, DAY, 0, 5_000, share)) for share in (0, 0.1))
    same = [a == b for a, b in zip(intact.to_pylist(), broken.to_pylist(), strict=True)]
    assert 4_300 < sum(same) < 4_700


def test_columns_are_those_declared(intact):
    arrow_types = {
        "string": pa.string(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "int": pa.int32(),
        "decimal(7,1)": pa.decimal128(7, 1),
        "decimal(8,3)": pa.decimal128(8, 3),
        "decimal(8,4)": pa.decimal128(8, 4),
        "decimal(8,2)": pa.decimal128(8, 2),
    }
    assert {f.name: f.type for f in intact.schema} == {c.name: arrow_types[c.sql_type] for c in RAW_COLUMNS}
    assert intact.schema.names == [column.name for column in RAW_COLUMNS]


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**63 - 1),
    date=st.dates(dt.date(2000, 1, 1), dt.date(2099, 12, 31)),
    block=st.integers(0, 20_000),
    rows=st.integers(1, 3_000),
    share=st.floats(0, 1),
)
def test_what_is_injected_is_what_the_rules_find(tmp_path_factory, seed, date, block, rows, share):
    made = make_block(seed, date, block, rows, share)
    file = tmp_path_factory.mktemp("block") / f"block-{block:05d}.parquet"
    file.write_bytes(made.content)
    quarantined = oracle.expected_tables({date: [str(file)]}, date)["_quarantine/shipment"]
    found = {rule.name: sum(rule.name in row["broken_rules"] for row in quarantined) for rule in RULES}
    assert found == made.injected
    assert all(len(row["broken_rules"]) == 1 for row in quarantined)


def test_about_the_share_asked_for_is_broken_in_equal_parts():
    injected = make_block(1, DAY, 0, 40_000, 0.06).injected
    assert set(injected) == {rule.name for rule in RULES}
    assert all(330 < count < 470 for count in injected.values())


def test_ship_date_hours_have_waves(intact):
    by_hour = dict(query(intact, "SELECT epoch_us(ship_ts) // 3600000000 % 24, count(*) FROM shipments GROUP BY 1"))
    assert set(by_hour) == set(range(24))
    assert max(by_hour.values()) > 3 * min(by_hour.values())
    midnight_us = int(dt.datetime(DAY.year, DAY.month, DAY.day, tzinfo=dt.UTC).timestamp()) * 1_000_000
    ((first, last),) = query(intact, "SELECT min(epoch_us(ship_ts)), max(epoch_us(ship_ts)) FROM shipments")
    assert midnight_us <= first <= last < midnight_us + 86_400_000_000


def test_carriers_differ_in_punctuality(intact):
    sql = "SELECT carrier, avg((delivered_ts <= promised_ts)::INT) FROM shipments WHERE status = 'delivered' GROUP BY 1"
    punctuality = dict(query(intact, sql))
    assert set(punctuality) == {carrier.name for carrier in network.CARRIERS}
    assert punctuality["Cardinal Express"] > punctuality["Evergreen Ground"] + 0.05


def test_distance_drives_cost_and_time(intact):
    sql = """SELECT corr(distance_km, total_cost), corr(distance_km, epoch_us(delivered_ts) - epoch_us(ship_ts))
             FROM shipments WHERE service_level = 'freight' AND status = 'delivered'"""
    ((cost, time),) = query(intact, sql)
    assert cost > 0.5
    assert time > 0.5


def test_a_few_customers_are_heavy_and_most_are_not(intact):
    counts = [n for (n,) in query(intact, "SELECT count(*) n FROM shipments GROUP BY customer_id ORDER BY n DESC")]
    assert sum(counts[:10]) > 0.2 * sum(counts)
    assert len(counts) > 3_000
    assert _zipf_exponent(counts[:100]) == pytest.approx(1, abs=0.15)


def test_routes_are_like_zipf(intact):
    sql = "SELECT count(*) n FROM shipments GROUP BY origin_city, destination_city ORDER BY n DESC"
    counts = [n for (n,) in query(intact, sql)]
    assert len(counts) == len(network.WAREHOUSES) * len(network.CITIES)
    assert 0.5 < _zipf_exponent(counts[:200]) < 1.2


def test_states_receive_by_population(intact):
    populations = dict.fromkeys({city.state for city in network.CITIES}, 0.0)
    for city in network.CITIES:
        populations[city.state] += city.weight
    sql = "SELECT destination_state, count(*) FROM shipments GROUP BY 1"
    received = dict(query(intact, sql))
    total = sum(populations.values())
    assert set(received) == set(populations)
    for state, population in populations.items():
        assert received[state] / len(intact) == pytest.approx(population / total, rel=0.25)


def _zipf_exponent(counts):
    """Of counts by rank: minus the slope of their logarithms."""
    ranks = np.log(np.arange(1, len(counts) + 1))
    return -np.polyfit(ranks, np.log(counts), 1)[0]


def test_only_the_delivered_have_a_time_of_delivery(intact):
    assert query(
        intact, "SELECT count(*) FROM shipments WHERE (status = 'delivered') <> (delivered_ts IS NOT NULL)"
    ) == [(0,)]


def test_volume_follows_weekday_and_season():
    monday, sunday = dt.date(2026, 3, 9), dt.date(2026, 3, 8)
    december, january = dt.date(2026, 12, 7), dt.date(2026, 1, 5)
    assert seasonality.default_rows(monday) > 1.5 * seasonality.default_rows(sunday)
    assert seasonality.default_rows(december) > 1.3 * seasonality.default_rows(january)
