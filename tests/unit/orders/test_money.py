"""Formatting of amounts."""

import pytest

from services.orders.money import money


@pytest.mark.parametrize(
    ("amount_minor", "currency", "read"),
    [
        (0, "EUR", "0.00 EUR"),
        (7, "EUR", "0.07 EUR"),
        (1234, "eur", "12.34 EUR"),
        (123_456_789, "USD", "1,234,567.89 USD"),
        # Beyond the precision of a float.
        (2**60 + 1, "EUR", "11,529,215,046,068,469.77 EUR"),
        (1234, "JPY", "1,234 JPY"),
        (1234, "VND", "1,234 VND"),
        (1234, "KWD", "1.234 KWD"),
        (5, "TND", "0.005 TND"),
        # Providers charge in hundredths, although the currency no longer has them.
        (123_400, "ISK", "1,234.00 ISK"),
    ],
)
def test_money_has_the_decimals_of_its_currency(
    amount_minor: int, currency: str, read: str
) -> None:
    assert money(amount_minor, currency) == read
