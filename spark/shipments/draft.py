"""A block's rows as numbers: what was ordered, who carries it where, what it costs, and how long it took.

Plausible rather than uniform: a carrier has its services, prices and punctuality; distance and weight drive cost and
time; volume moves with the hour, the weekday and the season; some customers order far more than others.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shipments import seasonality
from shipments.network import CARRIERS, CITIES, CITY_POSITIONS, SERVICE_LEVELS, STATUSES, WAREHOUSES, road_tenths_km
from shipments.pools import CUSTOMERS, POSTCODES_A_CITY
from shipments.streams import Stream, Streams

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

DELIVERED, IN_TRANSIT, DELAYED, RETURNED, LOST = range(len(STATUSES))

_MINUTES_A_DAY = 24 * 60
_ORDER_CONTINUES = 0.15  # how often the next shipment belongs to the same order
_LOST_SHARE, _RETURNED_SHARE, _IN_TRANSIT_SHARE = 0.004, 0.02, 0.03
_DELAYED_SHARE = 0.35  # of the late ones: still out when the day's data was taken


@dataclass
class Draft:
    """A block as numbers, one array a column, all of the same length. Times are minutes since 1970 (UTC)."""

    id_row: Integers  # the row whose shipment_id the row bears: its own, but for a duplicate
    order: Integers
    customer: Integers  # positions in pools, network's tuples and STATUSES
    carrier: Integers  # -1: missing
    service_level: Integers
    status: Integers
    warehouse: Integers  # len(WAREHOUSES): unknown
    origin: Integers
    destination: Integers
    postcode: Integers
    shipped: Integers
    promised: Integers
    delivered: Integers  # meaningful where the status is delivered
    distance_tenths_km: Integers
    weight_g: Integers
    volume_100_cm3: Integers
    items: Integers
    base_cents: Integers
    fuel_cents: Integers
    insurance_cents: Integers
    total_cents: Integers

    def __len__(self) -> int:
        return len(self.id_row)


def draw(streams: Streams, day: dt.date, rows: int) -> Draft:
    """The first `rows` rows of the block with these streams, none of them broken."""
    order = np.cumsum(streams[Stream.ORDER].random(rows) >= _ORDER_CONTINUES, dtype=np.int64)
    # By Zipf: the second customer orders half as much as the first, the tenth a tenth.
    customer = (np.floor((CUSTOMERS + 1) ** streams[Stream.CUSTOMER].random(rows + 1)).astype(np.int64) - 1)[order]
    carrier = _pick(streams[Stream.CARRIER].random(rows), [c.weight for c in CARRIERS])
    service_level = _pick_by(carrier, streams[Stream.SERVICE_LEVEL].random(rows), [c.services for c in CARRIERS])

    warehouse = _pick(streams[Stream.WAREHOUSE].random(rows), [w.weight for w in WAREHOUSES])
    destination = _pick(streams[Stream.DESTINATION].random(rows), [c.weight for c in CITIES])
    postcode = destination * POSTCODES_A_CITY + streams[Stream.POSTCODE].integers(0, POSTCODES_A_CITY, rows)
    distance = _roads()[warehouse, destination] + streams[Stream.LAST_MILE].integers(20, 450, rows)

    hour_weights = [seasonality.hour_weights(day, w.peak_hour) for w in WAREHOUSES]
    hour = _pick_by(warehouse, streams[Stream.HOUR].random(rows), hour_weights)
    minute = streams[Stream.MINUTE].integers(0, 60, rows)
    shipped = (day - dt.date(1970, 1, 1)).days * _MINUTES_A_DAY + hour * 60 + minute

    typical_g = _by(service_level, [s.typical_kg * 1000 for s in SERVICE_LEVELS])
    weight_g = np.maximum(50, _rounded(typical_g * streams[Stream.WEIGHT].lognormal(0.0, 0.75, rows)))
    kg_a_m3 = 160 * streams[Stream.DENSITY].lognormal(0.0, 0.35, rows)
    items = 1 + streams[Stream.ITEMS].poisson(_by(service_level, [s.further_items for s in SERVICE_LEVELS]))

    base, fuel, insurance = _cents(streams, day, carrier, service_level, distance, weight_g)
    promised_days = _promised_days(service_level, distance)
    slowness = _by(carrier, [c.slowness for c in CARRIERS]) * seasonality.congestion(day)
    time_needed = 0.45 + streams[Stream.TRANSIT].gamma(5.0, slowness / 5.0)  # in promised times
    return Draft(
        id_row=np.arange(rows),
        order=order,
        customer=customer,
        carrier=carrier,
        service_level=service_level,
        status=_statuses(streams[Stream.STATUS].random(rows), late=time_needed > 1),
        warehouse=warehouse,
        origin=_by(warehouse, [CITY_POSITIONS[w.city] for w in WAREHOUSES]),
        destination=destination,
        postcode=postcode,
        shipped=shipped,
        promised=shipped + promised_days * _MINUTES_A_DAY,
        delivered=shipped + _rounded(time_needed * promised_days * _MINUTES_A_DAY),
        distance_tenths_km=distance,
        weight_g=weight_g,
        volume_100_cm3=np.maximum(1, _rounded(weight_g * 10 / kg_a_m3)),
        items=items,
        base_cents=base,
        fuel_cents=fuel,
        insurance_cents=insurance,
        total_cents=base + fuel + insurance,
    )


def _cents(
    streams: Streams, day: dt.date, carrier: Integers, service_level: Integers, distance: Integers, weight_g: Integers
) -> tuple[Integers, Integers, Integers]:
    """Base cost, fuel surcharge and insurance."""
    rows = len(carrier)
    price = (
        _by(service_level, [s.base_cents for s in SERVICE_LEVELS])
        + _by(service_level, [s.cents_a_km for s in SERVICE_LEVELS]) * distance / 10
        + _by(service_level, [s.cents_a_kg for s in SERVICE_LEVELS]) * weight_g / 1000
    )
    haggling = 0.92 + 0.16 * streams[Stream.PRICE].random(rows)
    base = _rounded(price * _by(carrier, [c.price for c in CARRIERS]) * haggling)
    value_cents = 6000 * streams[Stream.VALUE].lognormal(0.0, 1.0, rows)
    return base, _rounded(base * seasonality.fuel_rate(day)), _rounded(value_cents * 0.006)


def _promised_days(service_level: Integers, distance_tenths_km: Integers) -> Integers:
    days = _by(service_level, [s.promised_days for s in SERVICE_LEVELS])
    km_a_day = _by(service_level, [s.km_a_day for s in SERVICE_LEVELS])
    further_days: Integers = np.floor(distance_tenths_km / 10 / km_a_day).astype(np.int64)
    promised: Integers = days + further_days
    return promised


def _statuses(uniform: Floats, late: npt.NDArray[np.bool_]) -> Integers:
    """A few are lost, sent back or on their way whatever happens; of the others, some that are late are still out."""
    lost = _LOST_SHARE
    returned = lost + _RETURNED_SHARE
    in_transit = returned + _IN_TRANSIT_SHARE
    delayed = in_transit + _DELAYED_SHARE * (1 - in_transit)
    cases = [uniform < lost, uniform < returned, uniform < in_transit, late & (uniform < delayed)]
    return np.select(cases, [LOST, RETURNED, IN_TRANSIT, DELAYED], default=DELIVERED)


def _roads() -> Integers:
    """Warehouse × city, in tenths of a km."""
    cities = range(len(CITIES))
    return np.array([[road_tenths_km(CITY_POSITIONS[w.city], city) for city in cities] for w in WAREHOUSES])


def _pick(uniform: Floats, weights: Sequence[float]) -> Integers:
    """Positions in `weights`, drawn in proportion to them."""
    return np.searchsorted(_steps(weights), uniform, side="right")


def _pick_by(group: Integers, uniform: Floats, weights: Sequence[Sequence[float]]) -> Integers:
    """As `_pick`, each row by the weights of its group."""
    steps = np.array([_steps(row) for row in weights])
    # Steps of group g lie between g and g + 1: one sorted line for all groups, searched once.
    line = (steps + np.arange(len(weights))[:, None]).ravel()
    found: Integers = np.searchsorted(line, group + uniform, side="right")
    picked: Integers = found - group * steps.shape[1]
    return picked


def _steps(weights: Sequence[float]) -> Floats:
    """Cumulated shares without the last, which is 1: a number below 1 never falls behind the last position."""
    cumulated: Floats = np.cumsum(weights, dtype=np.float64)
    shares: Floats = cumulated[:-1] / cumulated[-1]
    return shares


def _by(positions: Integers, values: Sequence[float]) -> npt.NDArray[Any]:
    return np.array(values)[positions]


def _rounded(values: npt.NDArray[np.floating[Any]]) -> Integers:
    whole: Integers = np.rint(values).astype(np.int64)
    return whole
