"""What the simulated country sells, where and when: cities, merchant categories, hours of the day."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

HOME_COUNTRY = "PT"
"""Country of the cardholders; merchants elsewhere are foreign. ISO 3166-1 alpha-2."""


class City(NamedTuple):
    """A place with shops: degrees north and east, and a weight (thousands of people, or of visits)."""

    country: str
    latitude: float
    longitude: float
    weight: float


CITIES = (
    City("PT", 38.7223, -9.1393, 1900),
    City("PT", 41.1579, -8.6291, 1250),
    City("PT", 41.5454, -8.4265, 190),
    City("PT", 40.2033, -8.4103, 140),
    City("PT", 38.5244, -8.8882, 120),
    City("PT", 40.6405, -8.6538, 80),
    City("PT", 37.0194, -7.9304, 70),
    City("PT", 40.6566, -7.9125, 60),
    City("PT", 39.7436, -8.8071, 60),
    City("PT", 38.5714, -7.9135, 55),
    City("PT", 41.3006, -7.7441, 50),
    City("PT", 39.8222, -7.4931, 40),
    City("PT", 37.1366, -8.5377, 45),
    City("PT", 41.8061, -6.7567, 35),
    City("PT", 32.6669, -16.9241, 110),
    City("PT", 37.7412, -25.6756, 68),
    City("ES", 40.4168, -3.7038, 300),
    City("ES", 41.3874, 2.1686, 180),
    City("FR", 48.8566, 2.3522, 260),
    City("GB", 51.5072, -0.1276, 220),
    City("DE", 52.5200, 13.4050, 130),
    City("IT", 41.9028, 12.4964, 120),
    City("BR", -23.5505, -46.6333, 100),
    City("US", 40.7128, -74.0060, 110),
)
"""The home country's cities first, then the foreign ones."""

N_HOME_CITIES = sum(city.country == HOME_COUNTRY for city in CITIES)


class Category(NamedTuple):
    """How one merchant category is bought.

    Amounts are in EUR; `sigma` is the standard deviation of the logarithm of the amount. `online` is the
    share bought online, `weekend`, `december` and `away` multiply its share then and on trips, `age`
    tilts it by the cardholder's age (per decade over 45), and `session` scales the chance of repeats.
    """

    name: str
    share: float
    median: float
    sigma: float
    online: float
    weekend: float
    december: float
    away: float
    age: float
    session: float
    hours: str


CATEGORIES = (
    Category("grocery", 0.27, 27.0, 0.75, 0.05, 1.15, 1.1, 0.5, 0.05, 0.15, "shop"),
    Category("fuel", 0.08, 42.0, 0.40, 0.00, 0.95, 1.0, 0.8, 0.02, 0.1, "road"),
    Category("restaurant", 0.19, 17.0, 0.65, 0.12, 1.30, 1.1, 2.2, -0.05, 0.8, "dining"),
    Category("travel", 0.03, 95.0, 0.95, 0.65, 0.90, 1.1, 3.0, 0.03, 0.8, "shop"),
    Category("electronics", 0.03, 75.0, 1.00, 0.50, 1.10, 1.7, 0.4, -0.06, 0.8, "shop"),
    Category("fashion", 0.07, 40.0, 0.70, 0.40, 1.30, 1.6, 0.9, -0.04, 1.5, "shop"),
    Category("health", 0.06, 20.0, 0.80, 0.08, 0.60, 1.0, 0.4, 0.15, 0.3, "shop"),
    Category("entertainment", 0.06, 19.0, 0.75, 0.50, 1.50, 1.3, 1.5, -0.12, 0.8, "dining"),
    Category("cash_withdrawal", 0.06, 50.0, 0.60, 0.00, 1.00, 1.1, 1.6, 0.08, 0.3, "road"),
    Category("digital_goods", 0.07, 7.0, 0.85, 1.00, 1.10, 1.2, 0.8, -0.15, 1.4, "online"),
    Category("home", 0.04, 48.0, 0.95, 0.30, 1.30, 1.1, 0.1, 0.06, 0.8, "shop"),
    Category("services", 0.04, 30.0, 0.80, 0.55, 0.50, 1.0, 0.5, 0.02, 0.5, "shop"),
)
NAMES = np.array([category.name for category in CATEGORIES], dtype=object)
INDEX = {category.name: index for index, category in enumerate(CATEGORIES)}

_HOURS = {
    "shop": (0, 0, 0, 0, 0, 0, 1, 3, 6, 9, 11, 11, 9, 8, 8, 9, 10, 12, 13, 11, 7, 3, 1, 0),
    "road": (1, 1, 1, 1, 1, 2, 5, 9, 9, 7, 6, 6, 7, 6, 6, 7, 8, 10, 10, 8, 5, 4, 3, 2),
    "dining": (2, 1, 1, 0, 0, 0, 1, 4, 6, 5, 4, 6, 14, 13, 6, 4, 4, 5, 7, 11, 14, 11, 7, 4),
    "online": (4, 2, 2, 1, 1, 1, 2, 4, 5, 6, 7, 7, 7, 7, 6, 6, 6, 7, 8, 9, 11, 12, 11, 7),
    "night": (9, 11, 12, 12, 10, 7, 4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 4, 5, 6, 8),
}
HOUR_NAMES = tuple(_HOURS)


def _cumulative(weights: tuple[int, ...]) -> npt.NDArray[np.float64]:
    cumulative: npt.NDArray[np.float64] = np.cumsum(np.array(weights, dtype=float))
    cumulative /= cumulative[-1]
    return cumulative


HOURS = np.array([_cumulative(_HOURS[name]) for name in HOUR_NAMES])
"""Cumulative share of purchases by the end of each hour; one row per name in `HOUR_NAMES`."""
