"""A day's five tables by DuckDB, as fast as it can be asked for them: what the processor is measured beside.

    python bench/duckdb_day.py <folder of block files> <folder for the tables>

The rules and tables of docs/data.md, without the quarantine and without what looks at other days; each table is a
Parquet file. (tests/spark/oracle.py computes them too, but to be plainly right, not to be fast.)
"""

import sys
from pathlib import Path

import duckdb

THREADS = 2

ACCEPTED = r"""
CREATE VIEW raw AS
SELECT *, (regexp_extract(filename, 'block-(\d+)\.parquet$', 1)::BIGINT << 40) + file_row_number AS place
FROM read_parquet('{source}/block-*.parquet', filename = true, file_row_number = true, hive_partitioning = false);

CREATE TEMP TABLE copied AS
SELECT shipment_id, min(place) AS first_copy FROM raw WHERE shipment_id IS NOT NULL
GROUP BY shipment_id HAVING count(*) > 1;

CREATE TEMP TABLE shipments AS
SELECT carrier, service_level, status, warehouse_id, origin_state, destination_state, hour(ship_ts)::INTEGER AS hour,
       status = 'delivered' AS is_delivered,
       status = 'delivered' AND delivered_ts <= promised_ts AS is_on_time,
       status = 'delayed' OR (status = 'delivered' AND delivered_ts > promised_ts) AS is_late,
       CASE WHEN status = 'delivered' THEN (epoch_us(delivered_ts) - epoch_us(ship_ts)) // 1000000 END AS transit_s,
       distance_km, weight_kg, volume_m3, items, base_cost, fuel_surcharge, insurance_cost, total_cost
FROM raw LEFT JOIN copied USING (shipment_id)
WHERE coalesce(place <= first_copy, true)
  AND trim(carrier) <> '' AND weight_kg >= 0 AND coalesce(delivered_ts >= ship_ts, true)
  AND total_cost = base_cost + fuel_surcharge + insurance_cost
  AND warehouse_id IN ('WH-ATL-01', 'WH-CHI-01', 'WH-CLT-01', 'WH-CMH-01', 'WH-DFW-01', 'WH-DEN-01',
                       'WH-LAX-01', 'WH-MEM-01', 'WH-MIA-01', 'WH-PHL-01', 'WH-SEA-01', 'WH-SLC-01');
"""

TABLES = {
    "carrier_performance": """
SELECT carrier, service_level, count(*) AS shipments, count_if(is_delivered) AS delivered,
       count_if(is_on_time) AS on_time, count_if(status = 'delayed') AS delayed, count_if(status = 'lost') AS lost,
       count_if(status = 'returned') AS returned, count_if(status = 'in_transit') AS in_transit,
       count_if(is_on_time) / nullif(count_if(is_delivered), 0) AS on_time_rate,
       avg(transit_s) / 3600 AS mean_transit_hours, quantile_cont(transit_s, 0.5) / 3600 AS p50_transit_hours,
       quantile_cont(transit_s, 0.95) / 3600 AS p95_transit_hours,
       sum(weight_kg)::DECIMAL(18,3) AS weight_kg, sum(total_cost)::DECIMAL(18,2) AS total_cost,
       sum(total_cost)::DOUBLE / nullif(sum(weight_kg)::DOUBLE, 0) AS cost_per_kg
FROM shipments GROUP BY ALL""",
    "cost_analysis": """
SELECT carrier, service_level, origin_state, count(*) AS shipments, sum(base_cost)::DECIMAL(18,2) AS base_cost,
       sum(fuel_surcharge)::DECIMAL(18,2) AS fuel_surcharge, sum(insurance_cost)::DECIMAL(18,2) AS insurance_cost,
       sum(total_cost)::DECIMAL(18,2) AS total_cost, sum(total_cost)::DOUBLE / count(*) AS mean_cost,
       quantile_cont(total_cost::DOUBLE, 0.95) AS p95_cost,
       sum(total_cost)::DOUBLE / nullif(sum(weight_kg)::DOUBLE, 0) AS cost_per_kg,
       sum(total_cost)::DOUBLE / nullif(sum(distance_km)::DOUBLE, 0) AS cost_per_km,
       sum(fuel_surcharge)::DOUBLE / nullif(sum(total_cost)::DOUBLE, 0) AS surcharge_share
FROM shipments GROUP BY ALL""",
    "daily_trends": """
SELECT count(*) AS shipments, count_if(is_delivered) AS delivered, count_if(is_on_time) AS on_time,
       sum(weight_kg)::DECIMAL(18,3) AS weight_kg, sum(total_cost)::DECIMAL(18,2) AS total_cost,
       count_if(is_on_time) / nullif(count_if(is_delivered), 0) AS on_time_rate
FROM shipments""",
    "route_efficiency": """
SELECT *, row_number() OVER (ORDER BY cost_per_km NULLS LAST, origin_state, destination_state)::INTEGER AS cost_rank
FROM (SELECT origin_state, destination_state, count(*) AS shipments,
             sum(distance_km)::DOUBLE / count(*) AS mean_distance_km,
             sum(distance_km) FILTER (transit_s IS NOT NULL)::DOUBLE * 3600 / nullif(sum(transit_s), 0) AS km_per_hour,
             sum(total_cost)::DOUBLE / nullif(sum(distance_km)::DOUBLE, 0) AS cost_per_km,
             quantile_cont(transit_s, 0.95) / 3600 AS p95_transit_hours,
             count_if(is_late) / count(*) AS delay_rate
      FROM shipments GROUP BY ALL)""",
    "warehouse_demand": """
SELECT warehouse_id, hour, count(*) AS shipments, sum(items)::BIGINT AS items,
       sum(weight_kg)::DECIMAL(18,3) AS weight_kg, sum(volume_m3)::DECIMAL(18,4) AS volume_m3
FROM shipments GROUP BY ALL""",
}


def main(source: str, target: str) -> None:
    Path(target).mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"SET threads = {THREADS}; SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        connection.execute(ACCEPTED.replace("{source}", source))
        for name, sql in TABLES.items():
            connection.execute(f"COPY ({sql}) TO '{target}/{name}.parquet' (FORMAT parquet)")


if __name__ == "__main__":
    main(*sys.argv[1:])
