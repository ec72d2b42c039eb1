"""Formats amounts of money."""

from __future__ import annotations

from decimal import Decimal

# Decimals of currencies that do not have two. These are the providers' rules, which differ from
# ISO 4217 for some currencies: https://docs.stripe.com/currencies#special-cases
_DECIMALS = dict.fromkeys(
    (
        "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
        "XOF", "XPF",
    ),
    0,
) | dict.fromkeys(("BHD", "JOD", "KWD", "OMR", "TND"), 3)  # fmt: skip


def money(amount_minor: int, currency: str) -> str:
    """The amount with its currency: `12.34 EUR` for 1234 EUR cents, `1,234 JPY` for 1234 yen."""
    code = currency.upper()
    decimals = _DECIMALS.get(code, 2)
    return f"{Decimal(amount_minor).scaleb(-decimals):,.{decimals}f} {code}"
