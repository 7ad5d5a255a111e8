"""The tables as DuckDB computes them, straight from the raw Parquet files: what Spark's answers are held against.

Nothing here is shared with the jobs: rules, warehouses and measures are written again, from `docs/data.md`, in
DuckDB's SQL and without the jobs' short cuts (percentiles over every row, duplicates by a window over all rows). It
needs duckdb alone, so that tests of the whole platform can use it on files they have fetched.
"""

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import duckdb

Row = dict[str, Any]

GRAIN = {
    "_quarantine/shipment": ("ship_date", "block", "row"),
    "carrier_performance": ("ship_date", "carrier", "service_level"),
    "cost_analysis": ("ship_date", "carrier", "service_level", "origin_state"),
    "daily_trends": ("ship_date",),
    "route_efficiency": ("ship_date", "origin_state", "destination_state"),
    "warehouse_demand": ("ship_date", "warehouse_id", "hour"),
}
DOUBLES_TOLERANCE = 1e-9  # relative; counts, dates, texts and decimals are compared exactly


def expected_tables(days: Mapping[dt.date, Sequence[str]], date: dt.date) -> dict[str, list[Row]]:
    """Table name → the rows of `date`, as dictionaries, in no order.

    `days` are the raw block files (local paths) of the date and of every other day that existed when it was processed;
    only the date and the six days before it are read. Timestamps come as naive datetimes in UTC, money and measures
    as `Decimal`, ratios as `float`, the quarantine's `broken_rules` as a list.
    """
    with duckdb.connect() as connection:
        connection.execute(_EMPTY)
        for day, files in days.items():
            if files and dt.timedelta(0) <= date - day <= dt.timedelta(days=6):
                connection.execute(_LOAD, {"day": day, "files": list(files)})
        connection.execute("CREATE TABLE days (ship_date DATE)")
        connection.executemany("INSERT INTO days VALUES (?)", [[day] for day in days if day <= date])
        connection.execute(_PREPARE)
        return {table: _rows(connection, sql, date) for table, sql in _TABLES.items()}


def all_differences(expected: Mapping[str, Iterable[Row]], actual: Mapping[str, Iterable[Row]]) -> list[str]:
    """Every difference between two sets of tables, by name; `actual` has all that are expected."""
    return [told for table, rows in expected.items() for told in differences(table, rows, actual[table])]


def differences(table: str, expected: Iterable[Row], actual: Iterable[Row]) -> list[str]:
    """Every difference between two sets of a table's rows, as sentences; empty when they are equal."""
    wanted, found = _by_grain(table, expected), _by_grain(table, actual)
    told = [f"{table}: no row {key}" for key in wanted.keys() - found.keys()]
    told += [f"{table}: unexpected row {key}" for key in found.keys() - wanted.keys()]
    for key in wanted.keys() & found.keys():
        if wanted[key].keys() != found[key].keys():
            told.append(f"{table} {key}: columns {sorted(wanted[key].keys() ^ found[key].keys())} are on one side only")
            continue
        told += [
            f"{table} {key}: {name} is {found[key][name]!r}, expected {value!r}"
            for name, value in wanted[key].items()
            if not _equal(value, found[key][name])
        ]
    return sorted(told)


def _rows(connection: duckdb.DuckDBPyConnection, sql: str, date: dt.date) -> list[Row]:
    result = connection.execute(sql, {"date": date})
    names = [column[0] for column in result.description]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _by_grain(table: str, rows: Iterable[Row]) -> dict[tuple[Any, ...], Row]:
    by_grain: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = tuple(row[name] for name in GRAIN[table])
        if key in by_grain:
            raise AssertionError(f"{table} has two rows {key}")
        by_grain[key] = row
    return by_grain


def _equal(expected: Any, actual: Any) -> bool:
    if isinstance(expected, float) and isinstance(actual, float):
        return math.isclose(expected, actual, rel_tol=DOUBLES_TOLERANCE)
    return type(expected) is type(actual) and bool(expected == actual)


_EMPTY = """
CREATE TABLE raw (
    ship_date DATE, block INTEGER, row BIGINT,
    shipment_id VARCHAR, order_id VARCHAR, customer_id VARCHAR, customer_name VARCHAR, carrier VARCHAR,
    service_level VARCHAR, status VARCHAR, warehouse_id VARCHAR, origin_city VARCHAR, origin_state VARCHAR,
    destination_city VARCHAR, destination_state VARCHAR, destination_postcode VARCHAR,
    ship_ts TIMESTAMP, promised_ts TIMESTAMP, delivered_ts TIMESTAMP,
    distance_km DECIMAL(7,1), weight_kg DECIMAL(8,3), volume_m3 DECIMAL(8,4), items INTEGER,
    base_cost DECIMAL(8,2), fuel_surcharge DECIMAL(8,2), insurance_cost DECIMAL(8,2), total_cost DECIMAL(8,2),
    currency VARCHAR
)
"""

_LOAD = r"""
INSERT INTO raw BY NAME
SELECT $day AS ship_date,
       regexp_extract(filename, 'block-(\d+)\.parquet$', 1)::INTEGER AS block,
       file_row_number AS row,
       * EXCLUDE (filename, file_row_number)
         REPLACE (make_timestamp(epoch_us(ship_ts)) AS ship_ts,
                  make_timestamp(epoch_us(promised_ts)) AS promised_ts,
                  make_timestamp(epoch_us(delivered_ts)) AS delivered_ts)
FROM read_parquet($files, filename = true, file_row_number = true, hive_partitioning = false)
"""

_PREPARE = """
CREATE TABLE warehouses AS SELECT unnest([
    'WH-ATL-01', 'WH-CHI-01', 'WH-CLT-01', 'WH-CMH-01', 'WH-DFW-01', 'WH-DEN-01',
    'WH-LAX-01', 'WH-MEM-01', 'WH-MIA-01', 'WH-PHL-01', 'WH-SEA-01', 'WH-SLC-01']) AS warehouse_id;

CREATE TABLE broken AS
WITH copies AS (
    SELECT *, row_number() OVER (PARTITION BY ship_date, shipment_id ORDER BY block, row) AS copy FROM raw
), found AS (
    SELECT ship_date, block, row, 'missing_carrier' AS rule FROM copies WHERE carrier IS NULL OR trim(carrier) = ''
    UNION ALL
    SELECT ship_date, block, row, 'negative_weight' FROM copies WHERE weight_kg IS NULL OR weight_kg < 0
    UNION ALL
    SELECT ship_date, block, row, 'delivered_before_shipped' FROM copies WHERE delivered_ts < ship_ts
    UNION ALL
    SELECT ship_date, block, row, 'duplicate_id' FROM copies WHERE shipment_id IS NOT NULL AND copy > 1
    UNION ALL
    SELECT ship_date, block, row, 'unknown_warehouse' FROM copies
    WHERE warehouse_id IS NULL OR warehouse_id NOT IN (SELECT warehouse_id FROM warehouses)
    UNION ALL
    SELECT ship_date, block, row, 'total_mismatch' FROM copies
    WHERE (total_cost = base_cost + fuel_surcharge + insurance_cost) IS NOT TRUE
)
SELECT ship_date, block, row, list(rule ORDER BY rule) AS broken_rules FROM found GROUP BY ALL;

CREATE TABLE shipments AS
SELECT *,
       hour(ship_ts)::INTEGER AS hour,
       status = 'delivered' AS is_delivered,
       status = 'delivered' AND delivered_ts IS NOT NULL AS is_timed,
       (epoch_us(delivered_ts) // 1000000) - (epoch_us(ship_ts) // 1000000) AS seconds
FROM raw ANTI JOIN broken USING (ship_date, block, row);

CREATE TABLE daily AS
SELECT days.ship_date,
       count(shipment_id) AS shipments,
       count(*) FILTER (is_delivered) AS delivered,
       count(*) FILTER (is_delivered AND delivered_ts <= promised_ts) AS on_time,
       coalesce(sum(weight_kg), 0)::DECIMAL(18,3) AS weight_kg,
       coalesce(sum(total_cost), 0)::DECIMAL(18,2) AS total_cost,
       count(*) FILTER (is_delivered AND delivered_ts <= promised_ts)
           / nullif(count(*) FILTER (is_delivered), 0) AS on_time_rate
FROM days LEFT JOIN shipments USING (ship_date) GROUP BY days.ship_date;

CREATE TABLE hourly AS
SELECT d.ship_date, w.warehouse_id, h.hour::INTEGER AS hour,
       count(s.ship_date) AS shipments,
       coalesce(sum(s.items), 0)::BIGINT AS items,
       coalesce(sum(s.weight_kg), 0)::DECIMAL(18,3) AS weight_kg,
       coalesce(sum(s.volume_m3), 0)::DECIMAL(18,4) AS volume_m3
FROM days d CROSS JOIN warehouses w CROSS JOIN range(24) h(hour)
LEFT JOIN shipments s ON s.ship_date = d.ship_date AND s.warehouse_id = w.warehouse_id AND s.hour = h.hour
GROUP BY d.ship_date, w.warehouse_id, h.hour;
"""

_TABLES = {
    "_quarantine/shipment": "SELECT * FROM raw JOIN broken USING (ship_date, block, row) WHERE ship_date = $date",
    "carrier_performance": """
SELECT ship_date, carrier, service_level,
       count(*) AS shipments,
       count(*) FILTER (is_delivered) AS delivered,
       count(*) FILTER (is_delivered AND delivered_ts <= promised_ts) AS on_time,
       count(*) FILTER (status = 'delayed') AS delayed,
       count(*) FILTER (status = 'lost') AS lost,
       count(*) FILTER (status = 'returned') AS returned,
       count(*) FILTER (status = 'in_transit') AS in_transit,
       count(*) FILTER (is_delivered AND delivered_ts <= promised_ts)
           / nullif(count(*) FILTER (is_delivered), 0) AS on_time_rate,
       avg(seconds / 3600.0::DOUBLE) FILTER (is_timed) AS mean_transit_hours,
       quantile_cont(seconds / 3600.0::DOUBLE, 0.5) FILTER (is_timed) AS p50_transit_hours,
       quantile_cont(seconds / 3600.0::DOUBLE, 0.95) FILTER (is_timed) AS p95_transit_hours,
       sum(weight_kg)::DECIMAL(18,3) AS weight_kg,
       sum(total_cost)::DECIMAL(18,2) AS total_cost,
       sum(total_cost)::DOUBLE / nullif(sum(weight_kg)::DOUBLE, 0) AS cost_per_kg
FROM shipments WHERE ship_date = $date GROUP BY ALL""",
    "cost_analysis": """
SELECT ship_date, carrier, service_level, origin_state,
       count(*) AS shipments,
       sum(base_cost)::DECIMAL(18,2) AS base_cost,
       sum(fuel_surcharge)::DECIMAL(18,2) AS fuel_surcharge,
       sum(insurance_cost)::DECIMAL(18,2) AS insurance_cost,
       sum(total_cost)::DECIMAL(18,2) AS total_cost,
       avg(total_cost::DOUBLE) AS mean_cost,
       quantile_cont(total_cost::DOUBLE, 0.95) AS p95_cost,
       sum(total_cost)::DOUBLE / nullif(sum(weight_kg)::DOUBLE, 0) AS cost_per_kg,
       sum(total_cost)::DOUBLE / nullif(sum(distance_km)::DOUBLE, 0) AS cost_per_km,
       sum(fuel_surcharge)::DOUBLE / nullif(sum(total_cost)::DOUBLE, 0) AS surcharge_share
FROM shipments WHERE ship_date = $date GROUP BY ALL""",
    "daily_trends": """
WITH week AS (
    SELECT count(*)::INTEGER AS days_7d,
           avg(shipments::DOUBLE) AS shipments_7d_mean,
           avg(weight_kg::DOUBLE) AS weight_kg_7d_mean,
           avg(total_cost::DOUBLE) AS total_cost_7d_mean,
           sum(on_time) / nullif(sum(delivered), 0) AS on_time_rate_7d
    FROM daily WHERE ship_date BETWEEN $date - INTERVAL 6 DAY AND $date
)
SELECT today.*,
       today.shipments - before.shipments AS shipments_change,
       (today.weight_kg - before.weight_kg)::DECIMAL(18,3) AS weight_kg_change,
       (today.total_cost - before.total_cost)::DECIMAL(18,2) AS total_cost_change,
       today.on_time_rate - before.on_time_rate AS on_time_rate_change,
       (today.shipments - before.shipments) / nullif(before.shipments, 0) AS shipments_change_rate,
       (today.total_cost - before.total_cost)::DOUBLE / nullif(before.total_cost::DOUBLE, 0) AS total_cost_change_rate,
       week.*
FROM daily today LEFT JOIN daily before ON before.ship_date = today.ship_date - INTERVAL 1 DAY CROSS JOIN week
WHERE today.ship_date = $date""",
    "route_efficiency": """
WITH routes AS (
    SELECT ship_date, origin_state, destination_state,
           count(*) AS shipments,
           sum(distance_km)::DOUBLE / count(*) AS mean_distance_km,
           sum(distance_km) FILTER (is_timed)::DOUBLE
               / nullif(sum(seconds) FILTER (is_timed)::DOUBLE / 3600, 0) AS km_per_hour,
           sum(total_cost)::DOUBLE / nullif(sum(distance_km)::DOUBLE, 0) AS cost_per_km,
           quantile_cont(seconds / 3600.0::DOUBLE, 0.95) FILTER (is_timed) AS p95_transit_hours,
           count(*) FILTER (status = 'delayed' OR (is_delivered AND delivered_ts > promised_ts))
               / count(*) AS delay_rate
    FROM shipments WHERE ship_date = $date GROUP BY ALL
)
SELECT *, row_number() OVER (ORDER BY cost_per_km ASC NULLS LAST, origin_state, destination_state)::INTEGER AS cost_rank
FROM routes""",
    "warehouse_demand": """
WITH week AS (
    SELECT warehouse_id, hour, count(*)::INTEGER AS days_7d, avg(shipments::DOUBLE) AS shipments_7d_mean
    FROM hourly WHERE ship_date BETWEEN $date - INTERVAL 6 DAY AND $date GROUP BY ALL
), peaks AS (
    SELECT warehouse_id, min(hour) AS hour
    FROM (SELECT *, max(shipments) OVER (PARTITION BY warehouse_id) AS most FROM hourly WHERE ship_date = $date)
    WHERE shipments = most AND most > 0 GROUP BY ALL
), totals AS (
    SELECT warehouse_id, sum(shipments) AS day_shipments FROM hourly WHERE ship_date = $date GROUP BY ALL
)
SELECT hourly.*,
       hourly.shipments / nullif(day_shipments, 0) AS day_share,
       peaks.hour IS NOT NULL AS is_peak,
       days_7d, shipments_7d_mean
FROM hourly JOIN week USING (warehouse_id, hour) JOIN totals USING (warehouse_id)
LEFT JOIN peaks USING (warehouse_id, hour)
WHERE ship_date = $date""",
}
