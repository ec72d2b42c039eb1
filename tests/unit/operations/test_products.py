"""The file of products: its products are offered, and all its mistakes are reported together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from services.administration.offers import DELIVERED_MAX
from services.local.state import PROJECT
from services.operations.products import load
from services.orders.model import TOTAL_MINOR_MAX, Product
from services.platform.errors import ConfigurationError

GOOD: dict[str, Any] = {
    "id": "print-10x15-glossy",
    "name": "Print 10 x 15 cm",
    "paper": "glossy",
    "width_mm": 100,
    "height_mm": 152.4,
    "price_minor": 39,
    "currency": "EUR",
    "delivered": 500,
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "products.yaml"


def mistakes(file: Path, *items: Any) -> tuple[str, ...]:
    file.write_text(yaml.safe_dump(list(items)), encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load(file)
    assert str(file) in str(caught.value)
    return caught.value.mistakes


def test_what_is_in_the_file_is_sold(file: Path) -> None:
    other = {name: GOOD[name] for name in GOOD if name != "delivered"} | {"id": "poster"}
    file.write_text(yaml.safe_dump([GOOD, other]), encoding="utf-8")
    facts = ("Print 10 x 15 cm", "glossy", 100.0, 152.4, 39, "EUR")
    assert load(file) == [
        (Product("print-10x15-glossy", *facts), 500),
        (Product("poster", *facts), 0),
    ]


def test_the_labs_own_file_is_sound() -> None:
    assert len(load(PROJECT / "terraform" / "lab" / "products.yaml")) > 1


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("id", ["", "Print", "a b", "a--b", "-a", "a-", "a\n", "a" * 65, "a/b", 7, None]),
        ("name", ["", " ", "a\nb", "a\0b", "n" * 101, 7, None]),
        ("paper", ["", "a\tb", "p" * 101, None]),
        ("width_mm", [0, -100, 19.9, 900.1, float("nan"), float("inf"), "100", True, None]),
        ("height_mm", [0, 1e9, "", None]),
        ("price_minor", [0, -1, 0.39, "39", True, TOTAL_MINOR_MAX + 1, 2**70, None]),
        ("currency", ["", "eur", "EURO", "€", "EUR\n", 978, None]),
        ("delivered", [-1, 1.5, "many", True, DELIVERED_MAX + 1, None]),
    ],
)
def test_no_value_of_a_product(file: Path, name: str, values: list[Any]) -> None:
    for value in values:
        (mistake,) = mistakes(file, GOOD | {name: value})
        assert mistake.startswith(f"[0] {name}: expected "), (value, mistake)


@pytest.mark.parametrize("name", [name for name in GOOD if name != "delivered"])
def test_a_value_that_is_missing(file: Path, name: str) -> None:
    (mistake,) = mistakes(file, {key: GOOD[key] for key in GOOD if key != name})
    assert mistake.startswith(f"[0] {name}: expected ")
    assert mistake.endswith("got nothing")


def test_mistakes_several_in_a_file_are_reported_together(file: Path) -> None:
    reported = mistakes(
        file, GOOD | {"price_minor": 0, "colour": "red"}, "a text", GOOD | {7: 1}, GOOD | {"id": ""}
    )
    assert [mistake.split(":")[0] for mistake in reported] == [
        "[0] colour", "[0] price_minor", "[1] expected a mapping of names to values, got 'a text'",
        "[2] expected a mapping of names to values, got \"{'id'", "[3] id",
    ]  # fmt: skip


def test_a_product_is_in_the_file_once(file: Path) -> None:
    assert mistakes(file, GOOD, GOOD | {"name": "Another"}, GOOD | {"id": "other"}) == (
        "expected every product once, got print-10x15-glossy again",
    )


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"a: [", b"42", b"- !!python/object:os.system {}", b"\xff\xfe", b"\0"]
)
def test_a_file_that_is_no_list_of_products(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"products\.yaml: expected a"):
        load(file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        with pytest.raises(ConfigurationError, match="expected a YAML list"):
            load(path)
