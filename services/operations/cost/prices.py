"""List prices of AWS, with the day they were looked up and their sources."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from services.platform.errors import PermanentError

FILE = Path(__file__).with_name("prices.json")
HOURS_A_MONTH = 730
_MILLION = "million "


@dataclass(frozen=True)
class Prices:
    """Prices by name, in US dollars for one unit: a request, a GB-second, an hour, a month."""

    as_of: str
    region: str
    by_name: dict[str, float]

    def of(self, name: str) -> float:
        """Raises PermanentError for what the file has no price of."""
        if name not in self.by_name:
            raise PermanentError(f"no price of {name!r} in {FILE.name}; add it with its source")
        return self.by_name[name]

    def hourly(self, name: str) -> float:
        """The price of a month of hours."""
        return self.of(name) * HOURS_A_MONTH


def read_prices(path: Path = FILE) -> Prices:
    """The price file. Raises PermanentError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        by_name = {
            name: price["usd"] / (1_000_000 if price["per"].startswith(_MILLION) else 1)
            for name, price in document["prices"].items()
        }
        return Prices(document["as_of"], document["region"], by_name)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PermanentError(f"{path} is no price file: {error!r}") from None


@dataclass(frozen=True)
class Item:
    """A line of a bill: dollars a month."""

    service: str
    what: str
    dollars: float
