"""Measures that look back: the change against the day before, and 7-day means over the days that exist.

They depend on other days' rows, so an earlier day that is run anew can leave later ones stale. Whether it did is not
remembered but computed: a day is stale when the measures stored with it are not those that the stored days give now.
A day *exists* when the table has rows of it.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import and_

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from shipments.tables import DAILY_TRENDS, WAREHOUSE_DEMAND, Table, ratio

WINDOW_DAYS = 7


@dataclass(frozen=True)
class LookBack:
    """How a table looks back: `add(days)` adds `measures` to rows of any number of days, each day by the others."""

    table: Table
    measures: tuple[str, ...]
    add: Callable[[DataFrame], DataFrame]


def with_daily_trend(days: DataFrame) -> DataFrame:
    """`daily_trends` rows with their changes and 7-day means."""
    # One partition: Spark warns of a window without any, but a table of a row a day is no burden for a task.
    ordered = Window.partitionBy(F.lit("all days")).orderBy(F.unix_date("ship_date"))
    day_before = ordered.rangeBetween(-1, -1)
    week = ordered.rangeBetween(1 - WINDOW_DAYS, 0)

    def change(name: str) -> Column:
        return F.col(name) - F.sum(name).over(day_before)

    def week_mean(name: str) -> Column:
        return ratio(F.sum(name).over(week), F.count(F.lit(1)).over(week))

    return days.select(
        *days.columns,
        change("shipments").alias("shipments_change"),
        change("weight_kg").cast("decimal(18,3)").alias("weight_kg_change"),
        change("total_cost").cast("decimal(18,2)").alias("total_cost_change"),
        change("on_time_rate").alias("on_time_rate_change"),
        ratio(change("shipments"), F.sum("shipments").over(day_before)).alias("shipments_change_rate"),
        ratio(change("total_cost"), F.sum("total_cost").over(day_before)).alias("total_cost_change_rate"),
        F.count(F.lit(1)).over(week).cast("int").alias("days_7d"),
        week_mean("shipments").alias("shipments_7d_mean"),
        week_mean("weight_kg").alias("weight_kg_7d_mean"),
        week_mean("total_cost").alias("total_cost_7d_mean"),
        ratio(F.sum("on_time").over(week), F.sum("delivered").over(week)).alias("on_time_rate_7d"),
    )


def with_demand_trend(days: DataFrame) -> DataFrame:
    """`warehouse_demand` rows with the 7-day mean of the same warehouse and hour."""
    same_hour = Window.partitionBy("warehouse_id", "hour").orderBy(F.unix_date("ship_date"))
    week = same_hour.rangeBetween(1 - WINDOW_DAYS, 0)
    existing = F.count(F.lit(1)).over(week)
    return days.select(
        *days.columns,
        existing.cast("int").alias("days_7d"),
        ratio(F.sum("shipments").over(week), existing).alias("shipments_7d_mean"),
    )


LOOK_BACKS = (
    LookBack(
        DAILY_TRENDS,
        (
            "shipments_change",
            "weight_kg_change",
            "total_cost_change",
            "on_time_rate_change",
            "shipments_change_rate",
            "total_cost_change_rate",
            "days_7d",
            "shipments_7d_mean",
            "weight_kg_7d_mean",
            "total_cost_7d_mean",
            "on_time_rate_7d",
        ),
        with_daily_trend,
    ),
    LookBack(WAREHOUSE_DEMAND, ("days_7d", "shipments_7d_mean"), with_demand_trend),
)


def look_back_of(table: Table) -> LookBack | None:
    """How the table looks back, if it does."""
    return next((look_back for look_back in LOOK_BACKS if look_back.table is table), None)


def neighbours(stored: DataFrame, date: dt.date) -> DataFrame:
    """The stored rows of the other days that the date's measures look at, or that look at the date's."""
    reach = dt.timedelta(days=WINDOW_DAYS - 1)
    return stored.where(F.col("ship_date").between(date - reach, date + reach) & (F.col("ship_date") != F.lit(date)))


def looking_back(look_back: LookBack, today: DataFrame, stored: DataFrame | None, date: dt.date) -> DataFrame:
    """The date's rows with their look-back measures, by the stored rows of the days before (None: no table yet)."""
    days = today if stored is None else today.unionByName(neighbours(stored, date).drop(*look_back.measures))
    return look_back.add(days).where(F.col("ship_date") == F.lit(date))


def stale_days(look_back: LookBack, today: DataFrame, stored: DataFrame, date: dt.date) -> list[dt.date]:
    """The later days, in order, whose stored measures are not those that they get with `today` as the date's rows."""
    around = neighbours(stored, date)
    expected = look_back.add(today.unionByName(around.drop(*look_back.measures)))
    compared = ("ship_date", *look_back.table.grain, *look_back.measures)
    same = reduce(and_, (F.col(f"stored.{name}").eqNullSafe(F.col(f"expected.{name}")) for name in compared))
    outdated = (
        around.alias("stored")
        .where(F.col("ship_date") > F.lit(date))
        .join(expected.alias("expected"), same, "left_anti")
        .select("stored.ship_date")
        .distinct()
    )
    return sorted(row.ship_date for row in outdated.collect())
