import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.platform.aws.items import from_item, to_attribute, to_item

VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES))
def test_what_goes_in_comes_out(values: dict[str, object]) -> None:
    assert from_item(to_item(values)) == values


def test_nothing_is_left_out_and_sets_stay_sets() -> None:
    assert to_item({"a": None, "b": {"c": None}}) == {"b": {"M": {}}}
    assert from_item(to_item({"keys": {"x", "y"}})) == {"keys": frozenset({"x", "y"})}


def test_a_type_the_catalogue_does_not_use_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a text"):
        to_attribute(b"bytes")
