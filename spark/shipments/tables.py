"""The five tables of a day, each a pure transformation of the day's accepted shipments.

Counts are longs, sums are exact decimals, and every ratio or mean is a double that comes of one division of exact
sums: the same rows give the same figures to the last bit, in whatever order they are added. What a column means
stands in `docs/data.md`.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

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


def measured(accepted: DataFrame) -> DataFrame:
    """What the tables need of each accepted shipment.

    `on_time` and `late` are booleans; `transit_s` is null unless delivered at a known time; `cents` is `total_cost`
    as a long; `hour` is of `ship_ts` in UTC.
    """
    delivered = F.coalesce(F.col("status") == "delivered", F.lit(False))
    on_time = delivered & F.coalesce(F.col("delivered_ts") <= F.col("promised_ts"), F.lit(False))
    late = delivered & F.coalesce(F.col("delivered_ts") > F.col("promised_ts"), F.lit(False))
    transit_s = F.unix_seconds("delivered_ts") - F.unix_seconds("ship_ts")
    return accepted.select(
        "carrier",
        "service_level",
        "status",
        "warehouse_id",
        "origin_state",
        "destination_state",
        F.hour("ship_ts").alias("hour"),
        delivered.alias("delivered"),
        on_time.alias("on_time"),
        (late | (F.col("status") == "delayed")).alias("late"),
        F.when(delivered, transit_s).alias("transit_s"),
        "distance_km",
        "weight_kg",
        "volume_m3",
        "items",
        "base_cost",
        "fuel_surcharge",
        "insurance_cost",
        "total_cost",
        (F.col("total_cost") * 100).cast("long").alias("cents"),
    )


def carrier_performance(shipments: DataFrame, date: dt.date) -> DataFrame:
    """How punctual, quick and dear each carrier's service levels were."""
    by_transit = shipments.groupBy("carrier", "service_level", "transit_s").agg(
        _rows("n"),
        _count(F.col("delivered")).alias("delivered"),
        _count(F.col("on_time")).alias("on_time"),
        *(_count(F.col("status") == status).alias(status) for status in ("delayed", "lost", "returned", "in_transit")),
        F.sum("weight_kg").alias("weight_kg"),
        F.sum("total_cost").alias("total_cost"),
    )
    # Exact percentiles of some thousand distinct times with their counts, rather than of all shipments.
    percentiles = F.percentile("transit_s", [0.5, 0.95], F.col("n"))
    sums = by_transit.groupBy("carrier", "service_level").agg(
        F.sum("n").alias("shipments"),
        *(F.sum(name).alias(name) for name in ("delivered", "on_time", "delayed", "lost", "returned", "in_transit")),
        F.sum("weight_kg").alias("weight_kg"),
        F.sum("total_cost").alias("total_cost"),
        F.sum(F.col("transit_s") * F.col("n")).alias("transit_s"),
        F.sum(F.when(F.col("transit_s").isNotNull(), F.col("n"))).alias("timed"),
        percentiles.alias("percentiles"),
    )
    return sums.select(
        _date(date),
        "carrier",
        "service_level",
        "shipments",
        "delivered",
        "on_time",
        "delayed",
        "lost",
        "returned",
        "in_transit",
        ratio(F.col("on_time"), F.col("delivered")).alias("on_time_rate"),
        ratio(F.col("transit_s"), F.col("timed") * SECONDS_AN_HOUR).alias("mean_transit_hours"),
        (F.col("percentiles")[0] / SECONDS_AN_HOUR).alias("p50_transit_hours"),
        (F.col("percentiles")[1] / SECONDS_AN_HOUR).alias("p95_transit_hours"),
        F.col("weight_kg").cast("decimal(18,3)").alias("weight_kg"),
        F.col("total_cost").cast("decimal(18,2)").alias("total_cost"),
        ratio(F.col("total_cost"), F.col("weight_kg")).alias("cost_per_kg"),
    )


def cost_analysis(shipments: DataFrame, date: dt.date) -> DataFrame:
    """What each carrier's service levels cost, by the state they start from."""
    costs = ("base_cost", "fuel_surcharge", "insurance_cost", "total_cost")
    sums = shipments.groupBy("carrier", "service_level", "origin_state").agg(
        _rows("shipments"),
        *(F.sum(name).alias(name) for name in (*costs, "weight_kg", "distance_km")),
        F.percentile("cents", 0.95).alias("p95_cents"),
    )
    return sums.select(
        _date(date),
        "carrier",
        "service_level",
        "origin_state",
        "shipments",
        *(F.col(name).cast("decimal(18,2)").alias(name) for name in costs),
        ratio(F.col("total_cost"), F.col("shipments")).alias("mean_cost"),
        (F.col("p95_cents") / 100).alias("p95_cost"),
        ratio(F.col("total_cost"), F.col("weight_kg")).alias("cost_per_kg"),
        ratio(F.col("total_cost"), F.col("distance_km")).alias("cost_per_km"),
        ratio(F.col("fuel_surcharge"), F.col("total_cost")).alias("surcharge_share"),
    )


def daily_trends(shipments: DataFrame, date: dt.date) -> DataFrame:
    """The day in one row, which a day without shipments has too."""
    sums = shipments.agg(
        _rows("shipments"),
        _count(F.col("delivered")).alias("delivered"),
        _count(F.col("on_time")).alias("on_time"),
        F.sum("weight_kg").alias("weight_kg"),
        F.sum("total_cost").alias("total_cost"),
    )
    return sums.select(
        _date(date),
        "shipments",
        F.coalesce("delivered", F.lit(0)).alias("delivered"),
        F.coalesce("on_time", F.lit(0)).alias("on_time"),
        F.coalesce(F.col("weight_kg").cast("decimal(18,3)"), F.lit(0).cast("decimal(18,3)")).alias("weight_kg"),
        F.coalesce(F.col("total_cost").cast("decimal(18,2)"), F.lit(0).cast("decimal(18,2)")).alias("total_cost"),
        ratio(F.col("on_time"), F.col("delivered")).alias("on_time_rate"),
    )


def route_efficiency(shipments: DataFrame, date: dt.date) -> DataFrame:
    """How quick, dear and reliable each pair of states is, ranked by cost per km."""
    route = ("origin_state", "destination_state")
    by_transit = shipments.groupBy(*route, "transit_s").agg(
        _rows("n"),
        _count(F.col("late")).alias("late"),
        F.sum("distance_km").alias("distance_km"),
        F.sum("total_cost").alias("total_cost"),
    )
    timed = F.col("transit_s").isNotNull()
    sums = by_transit.groupBy(*route).agg(
        F.sum("n").alias("shipments"),
        F.sum("late").alias("late"),
        F.sum("distance_km").alias("distance_km"),
        F.sum("total_cost").alias("total_cost"),
        F.sum(F.when(timed, F.col("distance_km"))).alias("timed_km"),
        F.sum(F.col("transit_s") * F.col("n")).alias("transit_s"),
        F.percentile("transit_s", 0.95, F.col("n")).alias("p95_transit_s"),
    )
    measures = sums.select(
        _date(date),
        *route,
        "shipments",
        ratio(F.col("distance_km"), F.col("shipments")).alias("mean_distance_km"),
        # km × 3600 is exact before it is divided; an hour's fraction would not be.
        ratio(F.col("timed_km") * SECONDS_AN_HOUR, F.col("transit_s")).alias("km_per_hour"),
        ratio(F.col("total_cost"), F.col("distance_km")).alias("cost_per_km"),
        (F.col("p95_transit_s") / SECONDS_AN_HOUR).alias("p95_transit_hours"),
        ratio(F.col("late"), F.col("shipments")).alias("delay_rate"),
    )
    cheapest_first = Window.partitionBy("ship_date").orderBy(F.col("cost_per_km").asc_nulls_last(), *route)
    return measures.withColumn("cost_rank", F.dense_rank().over(cheapest_first))


def warehouse_demand(shipments: DataFrame, date: dt.date) -> DataFrame:
    """The hours of each warehouse of the network: 24 rows each, those without shipments too."""
    spark = shipments.sparkSession
    hours = spark.range(24).select(F.col("id").cast("int").alias("hour"))
    grid = hours.select(F.explode(F.array(*map(F.lit, WAREHOUSE_IDS))).alias("warehouse_id"), "hour")
    sums = shipments.groupBy("warehouse_id", "hour").agg(
        _rows("shipments"),
        F.sum("items").alias("items"),
        F.sum("weight_kg").alias("weight_kg"),
        F.sum("volume_m3").alias("volume_m3"),
    )
    filled = grid.join(F.broadcast(sums), ["warehouse_id", "hour"], "left").na.fill(0, ["shipments", "items"])
    warehouse_day = Window.partitionBy("warehouse_id")
    busiest_first = warehouse_day.orderBy(F.col("shipments").desc(), "hour")
    zero = F.lit(0)
    return filled.select(
        _date(date),
        "warehouse_id",
        "hour",
        "shipments",
        "items",
        F.coalesce(F.col("weight_kg").cast("decimal(18,3)"), zero.cast("decimal(18,3)")).alias("weight_kg"),
        F.coalesce(F.col("volume_m3").cast("decimal(18,4)"), zero.cast("decimal(18,4)")).alias("volume_m3"),
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
    return F.when(whole != 0, part.cast("double") / whole.cast("double"))


def _rows(name: str) -> Column:
    return F.count(F.lit(1)).alias(name)


def _count(condition: Column) -> Column:
    return F.sum(condition.cast("long"))


def _date(date: dt.date) -> Column:
    return F.lit(date).alias("ship_date")
