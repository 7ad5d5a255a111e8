"""The five tables of a day, each a pure transformation of the day's accepted shipments.

Counts are longs, sums are exact, and every ratio or mean is a double that comes of one division of exact sums: the
same rows give the same figures to the last bit, in whatever order they are added. What a column means stands in
`docs/data.md`.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from shipments.network import WAREHOUSE_IDS

SECONDS_AN_HOUR = 3600


@dataclass(frozen=True)
class Table:
    """A table: its name, its grain beside `ship_date`, and how a day of it comes of the day's measured shipments.

    `build(measured, date)` gives the columns that depend on that day alone; what looks back is added by `look_back`.
    """

    name: str
    grain: tuple[str, ...]
    build: Callable[[DataFrame, dt.date], DataFrame]


def measured(shipments: DataFrame, *kept: str) -> DataFrame:
    """What the tables need of each raw shipment, and the columns named, with every decimal as a long in units of its
    last digit.

    Sums of longs are exact too, and many times cheaper than Spark's sums of decimals. `on_time` and `late` are
    booleans; `transit_s` is null unless delivered at a known time; `hour` is of `ship_ts` in UTC.
    """
    delivered = F.coalesce(F.col("status") == "delivered", F.lit(False))
    on_time = delivered & F.coalesce(F.col("delivered_ts") <= F.col("promised_ts"), F.lit(False))
    late = delivered & F.coalesce(F.col("delivered_ts") > F.col("promised_ts"), F.lit(False))
    transit_s = F.unix_seconds("delivered_ts") - F.unix_seconds("ship_ts")
    return shipments.select(
        *kept,
        "carrier",
        "service_level",
        "status",
        "warehouse_id",
        "origin_state",
        "destination_state",
        F.hour("ship_ts").alias("hour"),
        delivered.alias("delivered"),
        on_time.alias("on_time"),
        (late | F.coalesce(F.col("status") == "delayed", F.lit(False))).alias("late"),
        F.when(delivered, transit_s).alias("transit_s"),
        _units("distance_km", 1).alias("tenths_km"),
        _units("weight_kg", 3).alias("grams"),
        _units("volume_m3", 4).alias("volume_100_cm3"),
        "items",
        _units("base_cost", 2).alias("base_cents"),
        _units("fuel_surcharge", 2).alias("fuel_cents"),
        _units("insurance_cost", 2).alias("insurance_cents"),
        _units("total_cost", 2).alias("total_cents"),
    )


def carrier_performance(shipments: DataFrame, date: dt.date) -> DataFrame:
    """How punctual, quick and dear each carrier's service levels were."""
    counts = ("delivered", "on_time", "delayed", "lost", "returned", "in_transit")
    by_transit = shipments.groupBy("carrier", "service_level", "transit_s").agg(
        _rows("n"),
        *(_count(F.col(name)).alias(name) for name in counts[:2]),
        *(_count(F.col("status") == name).alias(name) for name in counts[2:]),
        _sum("grams"),
        _sum("total_cents"),
    )
    # Exact percentiles of some thousand distinct times with their counts, rather than of all shipments.
    sums = by_transit.groupBy("carrier", "service_level").agg(
        F.sum("n").alias("shipments"),
        *(_sum(name) for name in (*counts, "grams", "total_cents")),
        F.sum(F.when(F.col("transit_s").isNotNull(), F.col("n"))).alias("timed"),
        F.sum(F.col("transit_s") * F.col("n")).alias("timed_s"),
        F.percentile("transit_s", [0.5, 0.95], F.col("n")).alias("percentiles_s"),
    )
    return sums.select(
        _date(date),
        "carrier",
        "service_level",
        "shipments",
        *counts,
        ratio(F.col("on_time"), F.col("delivered")).alias("on_time_rate"),
        ratio(F.col("timed_s"), F.col("timed") * SECONDS_AN_HOUR).alias("mean_transit_hours"),
        (F.col("percentiles_s")[0] / SECONDS_AN_HOUR).alias("p50_transit_hours"),
        (F.col("percentiles_s")[1] / SECONDS_AN_HOUR).alias("p95_transit_hours"),
        _decimal("grams", 3).alias("weight_kg"),
        _decimal("total_cents", 2).alias("total_cost"),
        _cost_per_kg().alias("cost_per_kg"),
    )


def cost_analysis(shipments: DataFrame, date: dt.date) -> DataFrame:
    """What each carrier's service levels cost, by the state they start from."""
    sums = shipments.groupBy("carrier", "service_level", "origin_state").agg(
        _rows("shipments"),
        *(_sum(f"{cost}_cents") for cost in ("base", "fuel", "insurance", "total")),
        _sum("grams"),
        _sum("tenths_km"),
        F.percentile("total_cents", 0.95).alias("p95_cents"),
    )
    return sums.select(
        _date(date),
        "carrier",
        "service_level",
        "origin_state",
        "shipments",
        _decimal("base_cents", 2).alias("base_cost"),
        _decimal("fuel_cents", 2).alias("fuel_surcharge"),
        _decimal("insurance_cents", 2).alias("insurance_cost"),
        _decimal("total_cents", 2).alias("total_cost"),
        ratio(F.col("total_cents"), F.col("shipments") * 100).alias("mean_cost"),
        (F.col("p95_cents") / 100).alias("p95_cost"),
        _cost_per_kg().alias("cost_per_kg"),
        _cost_per_km().alias("cost_per_km"),
        ratio(F.col("fuel_cents"), F.col("total_cents")).alias("surcharge_share"),
    )


def daily_trends(shipments: DataFrame, date: dt.date) -> DataFrame:
    """The day in one row, which a day without shipments has too."""
    sums = shipments.agg(
        _rows("shipments"),
        *(F.coalesce(_count(F.col(name)), F.lit(0)).alias(name) for name in ("delivered", "on_time")),
        *(F.coalesce(F.sum(name), F.lit(0)).alias(name) for name in ("grams", "total_cents")),
    )
    return sums.select(
        _date(date),
        "shipments",
        "delivered",
        "on_time",
        _decimal("grams", 3).alias("weight_kg"),
        _decimal("total_cents", 2).alias("total_cost"),
        ratio(F.col("on_time"), F.col("delivered")).alias("on_time_rate"),
    )


def route_efficiency(shipments: DataFrame, date: dt.date) -> DataFrame:
    """How quick, dear and reliable each pair of states is, ranked by cost per km."""
    route = ("origin_state", "destination_state")
    by_transit = shipments.groupBy(*route, "transit_s").agg(
        _rows("n"), _count(F.col("late")).alias("late"), _sum("tenths_km"), _sum("total_cents")
    )
    sums = by_transit.groupBy(*route).agg(
        F.sum("n").alias("shipments"),
        *(_sum(name) for name in ("late", "tenths_km", "total_cents")),
        F.sum(F.when(F.col("transit_s").isNotNull(), F.col("tenths_km"))).alias("timed_tenths_km"),
        F.sum(F.col("transit_s") * F.col("n")).alias("timed_s"),
        F.percentile("transit_s", 0.95, F.col("n")).alias("p95_s"),
    )
    measures = sums.select(
        _date(date),
        *route,
        "shipments",
        ratio(F.col("tenths_km"), F.col("shipments") * 10).alias("mean_distance_km"),
        ratio(F.col("timed_tenths_km") * (SECONDS_AN_HOUR // 10), F.col("timed_s")).alias("km_per_hour"),
        _cost_per_km().alias("cost_per_km"),
        (F.col("p95_s") / SECONDS_AN_HOUR).alias("p95_transit_hours"),
        ratio(F.col("late"), F.col("shipments")).alias("delay_rate"),
    )
    cheapest_first = Window.partitionBy("ship_date").orderBy(F.col("cost_per_km").asc_nulls_last(), *route)
    return measures.withColumn("cost_rank", F.dense_rank().over(cheapest_first))


def warehouse_demand(shipments: DataFrame, date: dt.date) -> DataFrame:
    """The hours of each warehouse of the network: 24 rows each, those without shipments too."""
    hours = shipments.sparkSession.range(24).select(F.col("id").cast("int").alias("hour"))
    grid = hours.select(F.explode(F.array(*map(F.lit, WAREHOUSE_IDS))).alias("warehouse_id"), "hour")
    sums = shipments.groupBy("warehouse_id", "hour").agg(
        _rows("shipments"), *(_sum(name) for name in ("items", "grams", "volume_100_cm3"))
    )
    filled = grid.join(F.broadcast(sums), ["warehouse_id", "hour"], "left").na.fill(0)
    warehouse_day = Window.partitionBy("warehouse_id")
    busiest_first = warehouse_day.orderBy(F.col("shipments").desc(), "hour")
    return filled.select(
        _date(date),
        "warehouse_id",
        "hour",
        "shipments",
        "items",
        _decimal("grams", 3).alias("weight_kg"),
        _decimal("volume_100_cm3", 4).alias("volume_m3"),
        ratio(F.col("shipments"), F.sum("shipments").over(warehouse_day)).alias("day_share"),
        ((F.col("shipments") > 0) & (F.row_number().over(busiest_first) == 1)).alias("is_peak"),
    )


CARRIER_PERFORMANCE = Table("carrier_performance", ("carrier", "service_level"), carrier_performance)
COST_ANALYSIS = Table("cost_analysis", ("carrier", "service_level", "origin_state"), cost_analysis)
DAILY_TRENDS = Table("daily_trends", (), daily_trends)
ROUTE_EFFICIENCY = Table("route_efficiency", ("origin_state", "destination_state"), route_efficiency)
WAREHOUSE_DEMAND = Table("warehouse_demand", ("warehouse_id", "hour"), warehouse_demand)

TABLES = (CARRIER_PERFORMANCE, COST_ANALYSIS, DAILY_TRENDS, ROUTE_EFFICIENCY, WAREHOUSE_DEMAND)


def ratio(part: Column, whole: Column) -> Column:
    """One division of exact numbers as doubles; null when the whole is zero or null."""
    return F.when(whole != F.lit(0), part.cast("double") / whole.cast("double"))


def _cost_per_kg() -> Column:
    return ratio(F.col("total_cents") * 10, F.col("grams"))


def _cost_per_km() -> Column:
    return ratio(F.col("total_cents"), F.col("tenths_km") * 10)


def _units(name: str, scale: int) -> Column:
    """A decimal of this scale as a long, in units of its last digit."""
    return (F.col(name) * F.lit(10**scale)).cast("long")


def _decimal(units: str, scale: int) -> Column:
    """A long, in units of the last digit, as a decimal of this scale."""
    last_digit = F.lit(Decimal(1).scaleb(-scale))
    return (F.col(units).cast("decimal(18,0)") * last_digit).cast(f"decimal(18,{scale})")


def _sum(name: str) -> Column:
    return F.sum(name).alias(name)


def _rows(name: str) -> Column:
    return F.count(F.lit(1)).alias(name)


def _count(condition: Column) -> Column:
    return F.sum(condition.cast("long"))


def _date(date: dt.date) -> Column:
    return F.lit(date).alias("ship_date")
