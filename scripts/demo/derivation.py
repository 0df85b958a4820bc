"""The analytics firm's computation: what it costs the grid to charge an electric fleet, hour by hour.

From the utility it has Iowa's yearly generation by source and a year of hourly temperatures in two cities; from the
manufacturer a fleet of cars. A year's generation is spread over its hours by heating and cooling demand; each class of
the fleet gets a consumption from its mean weight; the result is a table of hours, cities and classes.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["RESULT_NAME", "derive"]

RESULT_NAME: Final = "hourly_charging.csv"

_BASE_F: Final = 65.0
"""Degree hours count from here, as utilities do (65 degrees Fahrenheit)."""
_BASE_LOAD: Final = 20.0
"""Load that no weather explains, in degree-hours."""
_CO2_G_PER_KWH: Final = {"Fossil Fuels": 900.0, "Nuclear Energy": 12.0, "Renewables": 20.0}
_CITIES: Final = {"seattle": "seattle-temps.csv", "san-francisco": "sf-temps.csv"}


def derive(power: Path, fleet: Path, result: Path) -> int:
    """Compute the table from the two data sets' folders into the folder ``result``; returns its rows.

    Raises:
        OSError: an input is missing.
    """
    result.mkdir(parents=True, exist_ok=True)
    generation = _latest_generation(power / "iowa-electricity.csv")
    consumption = _consumption_by_class(fleet / "cars.json")
    rows = 0
    with (result / RESULT_NAME).open("w", newline="") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(
            ["city", "hour", "load_mwh", *_columns(generation), "cylinders", "kwh_per_100km", "g_co2_per_km"]
        )
        for city, name in _CITIES.items():
            for row in _charging_rows(city, power / name, generation, consumption):
                writer.writerow(row)
                rows += 1
    return rows


def _columns(generation: dict[str, float]) -> list[str]:
    return [f"{source.split()[0].lower()}_mwh" for source in generation]


def _latest_generation(path: Path) -> dict[str, float]:
    """MWh by source in the latest year of the table (which is in GWh)."""
    by_year: defaultdict[str, dict[str, float]] = defaultdict(dict)
    with path.open(newline="") as source:
        for row in csv.DictReader(source):
            by_year[row["year"]][row["source"]] = float(row["net_generation"]) * 1000
    return by_year[max(by_year)]


def _consumption_by_class(path: Path) -> dict[int, float]:
    """kWh for 100 km by number of cylinders: 8 and 5 for each tonne of the class's mean weight."""
    weights: defaultdict[int, list[float]] = defaultdict(list)
    for car in json.loads(path.read_bytes()):
        weights[car["Cylinders"]].append(car["Weight_in_lbs"] * 0.000453592)
    return {cylinders: 8 + 5 * sum(tonnes) / len(tonnes) for cylinders, tonnes in sorted(weights.items())}


def _charging_rows(
    city: str, path: Path, generation: dict[str, float], consumption: dict[int, float]
) -> Iterator[list[str]]:
    with path.open(newline="") as source:
        hours = [(row["date"], abs(float(row["temp"]) - _BASE_F) + _BASE_LOAD) for row in csv.DictReader(source)]
    demand = sum(weight for _, weight in hours)
    yearly = sum(generation.values())
    carbon = sum(_CO2_G_PER_KWH[name] * mwh for name, mwh in generation.items()) / yearly
    for hour, weight in hours:
        share = weight / demand
        by_source = [f"{mwh * share:.3f}" for mwh in generation.values()]
        for cylinders, kwh in consumption.items():
            grams = kwh / 100 * carbon
            yield [city, hour, f"{yearly * share:.3f}", *by_source, str(cylinders), f"{kwh:.3f}", f"{grams:.3f}"]
