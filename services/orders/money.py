"""Amounts of money, as people read them."""

from __future__ import annotations

from decimal import Decimal

# Currencies whose minor unit is not a hundredth of them. What counts is what providers charge in,
# which differs from ISO 4217 for some: https://docs.stripe.com/currencies#special-cases
_DECIMALS = dict.fromkeys(
    (
        "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
        "XOF", "XPF",
    ),
    0,
) | dict.fromkeys(("BHD", "JOD", "KWD", "OMR", "TND"), 3)  # fmt: skip


def money(amount_minor: int, currency: str) -> str:
    """`12.34 EUR` for 1234 cents, `1,234 JPY` for as many yen."""
    code = currency.upper()
    decimals = _DECIMALS.get(code, 2)
    return f"{Decimal(amount_minor).scaleb(-decimals):,.{decimals}f} {code}"
