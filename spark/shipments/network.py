"""The shipping network: cities, warehouses, carriers and service levels. Positions in these tuples are the codes that
a block is drawn in, so a new entry goes to the end."""

import math
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class City:
    """A city, with its share of the destinations (any unit: shares are relative)."""

    name: str
    state: str
    latitude: float
    longitude: float
    weight: float


@dataclass(frozen=True)
class Warehouse:
    """A warehouse, in the city of that name, with its share of the volume and the hour of its busiest wave (UTC)."""

    id: str
    city: str
    weight: float
    peak_hour: int


@dataclass(frozen=True)
class ServiceLevel:
    """What a service promises and costs: prices in cents, promises in whole days."""

    name: str
    promised_days: int
    km_a_day: float  # a further day is promised for each; inf: the distance does not matter
    base_cents: float
    cents_a_km: float
    cents_a_kg: float
    typical_kg: float
    further_items: float  # mean number of pieces beyond the first


@dataclass(frozen=True)
class Carrier:
    """A carrier: its share of the volume, its share of each service level, its price, and how much time it needs.

    `slowness` is the mean of the part of the promised time that varies: about 5 % of the shipments are late at 0.30,
    20 % at 0.42.
    """

    name: str
    weight: float
    services: tuple[float, float, float, float]
    price: float
    slowness: float


CITIES = (
    City("New York", "NY", 40.71, -74.01, 8.3),
    City("Los Angeles", "CA", 34.05, -118.24, 3.9),
    City("Chicago", "IL", 41.88, -87.63, 2.7),
    City("Houston", "TX", 29.76, -95.37, 2.3),
    City("Phoenix", "AZ", 33.45, -112.07, 1.6),
    City("Philadelphia", "PA", 39.95, -75.17, 1.6),
    City("San Antonio", "TX", 29.42, -98.49, 1.5),
    City("San Diego", "CA", 32.72, -117.16, 1.4),
    City("Dallas", "TX", 32.78, -96.80, 1.3),
    City("Jacksonville", "FL", 30.33, -81.66, 1.0),
    City("Columbus", "OH", 39.96, -83.00, 0.9),
    City("Charlotte", "NC", 35.23, -80.84, 0.9),
    City("Indianapolis", "IN", 39.77, -86.16, 0.9),
    City("San Francisco", "CA", 37.77, -122.42, 0.8),
    City("Seattle", "WA", 47.61, -122.33, 0.8),
    City("Denver", "CO", 39.74, -104.99, 0.7),
    City("Oklahoma City", "OK", 35.47, -97.52, 0.7),
    City("Nashville", "TN", 36.16, -86.78, 0.7),
    City("Washington", "DC", 38.91, -77.04, 0.7),
    City("Boston", "MA", 42.36, -71.06, 0.7),
    City("Las Vegas", "NV", 36.17, -115.14, 0.7),
    City("Portland", "OR", 45.52, -122.68, 0.6),
    City("Detroit", "MI", 42.33, -83.05, 0.6),
    City("Louisville", "KY", 38.25, -85.76, 0.6),
    City("Memphis", "TN", 35.15, -90.05, 0.6),
    City("Baltimore", "MD", 39.29, -76.61, 0.6),
    City("Milwaukee", "WI", 43.04, -87.91, 0.6),
    City("Albuquerque", "NM", 35.08, -106.65, 0.6),
    City("Kansas City", "MO", 39.10, -94.58, 0.5),
    City("Atlanta", "GA", 33.75, -84.39, 0.5),
    City("Omaha", "NE", 41.26, -95.93, 0.5),
    City("Miami", "FL", 25.76, -80.19, 0.4),
    City("Minneapolis", "MN", 44.98, -93.27, 0.4),
    City("New Orleans", "LA", 29.95, -90.07, 0.4),
    City("Salt Lake City", "UT", 40.76, -111.89, 0.2),
    City("Boise", "ID", 43.62, -116.21, 0.2),
)

WAREHOUSES = (
    Warehouse("WH-ATL-01", "Atlanta", 1.2, 15),
    Warehouse("WH-CHI-01", "Chicago", 1.4, 16),
    Warehouse("WH-CLT-01", "Charlotte", 0.6, 15),
    Warehouse("WH-CMH-01", "Columbus", 0.9, 15),
    Warehouse("WH-DFW-01", "Dallas", 1.3, 16),
    Warehouse("WH-DEN-01", "Denver", 0.6, 17),
    Warehouse("WH-LAX-01", "Los Angeles", 1.6, 18),
    Warehouse("WH-MEM-01", "Memphis", 1.0, 4),  # an air hub: its wave is at night
    Warehouse("WH-MIA-01", "Miami", 0.5, 15),
    Warehouse("WH-PHL-01", "Philadelphia", 1.3, 14),
    Warehouse("WH-SEA-01", "Seattle", 0.7, 18),
    Warehouse("WH-SLC-01", "Salt Lake City", 0.4, 17),
)

SERVICE_LEVELS = (
    ServiceLevel("ground", 2, 900.0, 420, 0.16, 45, 2.2, 0.8),
    ServiceLevel("express", 2, math.inf, 980, 0.30, 95, 1.4, 0.5),
    ServiceLevel("overnight", 1, math.inf, 1900, 0.55, 150, 0.8, 0.3),
    ServiceLevel("freight", 3, 700.0, 6500, 1.90, 12, 180.0, 9.0),
)

CARRIERS = (
    Carrier("Atlas Parcel", 3.0, (0.70, 0.22, 0.08, 0.00), 1.00, 0.33),
    Carrier("Bluewater Freight", 0.9, (0.10, 0.00, 0.00, 0.90), 0.94, 0.40),
    Carrier("Cardinal Express", 1.6, (0.20, 0.50, 0.30, 0.00), 1.18, 0.29),
    Carrier("Evergreen Ground", 1.8, (0.92, 0.08, 0.00, 0.00), 0.86, 0.42),
    Carrier("Meridian Logistics", 1.4, (0.55, 0.20, 0.05, 0.20), 1.04, 0.36),
    Carrier("Swift Courier", 0.8, (0.05, 0.45, 0.50, 0.00), 1.27, 0.31),
)

STATUSES = ("delivered", "in_transit", "delayed", "returned", "lost")

CURRENCY = "USD"

CITY_POSITIONS = {city.name: position for position, city in enumerate(CITIES)}
WAREHOUSE_IDS = tuple(warehouse.id for warehouse in WAREHOUSES)

_EARTH_RADIUS_KM = 6371.0
_ROAD_FACTOR = 1.22  # roads are longer than the great circle


@cache
def road_tenths_km(origin: int, destination: int) -> int:
    """The road between two cities (positions in `CITIES`), centre to centre, in tenths of a km."""
    a, b = CITIES[origin], CITIES[destination]
    lat_a, lat_b = math.radians(a.latitude), math.radians(b.latitude)
    half_lat, half_lon = (lat_b - lat_a) / 2, math.radians(b.longitude - a.longitude) / 2
    chord = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return round(2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(chord)) * _ROAD_FACTOR * 10)
