"""How a day differs from another: volume by weekday and season, the hours of the day, congestion, the price of fuel."""

import datetime as dt
import math

AVERAGE_ROWS = 100_000

_WEEKDAYS = (1.16, 1.12, 1.08, 1.06, 1.10, 0.82, 0.66)  # Monday to Sunday, mean 1
_MONTHS = (0.88, 0.86, 0.93, 0.95, 0.98, 0.97, 0.94, 0.97, 1.00, 1.04, 1.22, 1.26)  # January to December, mean 1
_WINTER_MONTHS = (12, 1, 2)


def volume(day: dt.date) -> float:
    """The day's volume against the average day's, by weekday and month."""
    return _WEEKDAYS[day.weekday()] * _MONTHS[day.month - 1]


def default_rows(day: dt.date) -> int:
    """How many rows a day has when nobody says how many."""
    return round(AVERAGE_ROWS * volume(day))


def hour_weights(day: dt.date, peak_hour: int) -> list[float]:
    """The weights of the 24 hours (UTC) at a warehouse whose busiest wave is at `peak_hour`.

    A working day has a second, smaller wave eight hours before; a weekend is flatter, and a busy season is flatter
    still, since warehouses then work through the night.
    """
    weekend = day.weekday() >= 5
    base = (0.30 if weekend else 0.15) * _MONTHS[day.month - 1] ** 2
    second_wave = 0.0 if weekend else 0.45
    return [
        base + _wave(hour, peak_hour, width=3.0) + second_wave * _wave(hour, peak_hour - 8, width=2.0)
        for hour in range(24)
    ]


def congestion(day: dt.date) -> float:
    """What the day's volume and the winter's roads add to the time in transit: 1 on an average day."""
    return 1 + 0.25 * (volume(day) - 1) + (0.08 if day.month in _WINTER_MONTHS else 0.0)


def fuel_rate(day: dt.date) -> float:
    """The fuel surcharge as a share of the base cost: dearest in the middle of the year."""
    return 0.13 + 0.03 * math.sin(math.tau * (day.timetuple().tm_yday - 91) / 365.25)


def _wave(hour: int, centre: int, width: float) -> float:
    distance = abs(hour - centre) % 24
    return math.exp(-((min(distance, 24 - distance) / width) ** 2) / 2)
