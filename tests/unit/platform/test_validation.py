import json
from typing import Annotated, Literal

import msgspec
import pytest

from services.platform.validation import (
    MAX_ERRORS,
    SECRET_SCHEMA,
    InvalidInputError,
    convert,
    decode_json,
)


class Line(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    count: Annotated[int, msgspec.Meta(ge=1)]


class Body(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    email: Annotated[str, msgspec.Meta(min_length=3, description="an e-mail address")]
    password: Annotated[str, msgspec.Meta(min_length=12, extra_json_schema=SECRET_SCHEMA)] = (
        "x" * 12
    )
    lines: list[Line] = []
    age: int | None = None


def mistakes(body: bytes) -> dict[str, tuple[str, str]]:
    with pytest.raises(InvalidInputError) as caught:
        decode_json(body, Body)
    return {e.field: (e.expected, e.got) for e in caught.value.errors}


def test_all_mistakes_are_named_with_what_was_expected_and_what_came() -> None:
    assert mistakes(
        b'{"email": "a", "lines": [{"count": 1}, {"count": 0}], "x": 1, "age": "z"}'
    ) == {
        "x": ("one of email, password, lines, age", "an unknown field"),
        "email": ("text of at least 3 characters", '"a"'),
        "lines[1].count": ("a whole number of at least 1", "0"),
        "age": ("a whole number or null", '"z"'),
    }


def test_a_missing_field_is_described() -> None:
    assert mistakes(b"{}") == {"email": ("an e-mail address", "nothing")}


def test_inner_objects_are_looked_into() -> None:
    assert mistakes(b'{"email": "abc", "lines": [{"count": 1, "q": 1}]}') == {
        "lines[0].q": ("no such field", "an unknown field")
    }
    assert mistakes(b'{"email": "abc", "lines": [{}]}') == {
        "lines[0].count": ("a value", "nothing")
    }


def test_a_secret_is_never_repeated() -> None:
    assert mistakes(b'{"email": "abc", "password": "hunter2"}') == {
        "password": ("text of at least 12 characters", "a hidden value")
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff{",
        b"[" * 200_000,
        b'{"email": 1e999}',
        b'{"email": "\\ud800ab"}',
    ],
)
def test_what_is_no_json_object_is_told_as_such(body: bytes) -> None:
    ((field, (expected, _)),) = mistakes(body).items()
    assert (field, expected) == ("", "a JSON object")


def test_null_characters_are_refused_wherever_they_stand() -> None:
    assert set(mistakes(b'{"email": "a\\u0000bc"}')) == {"email"}


def test_a_long_value_is_cut_short() -> None:
    (got,) = [got for _, got in mistakes(b'{"email": 1, "age": "' + b"z" * 500 + b'"}').values()][
        1:
    ]
    assert len(got) < 100


def test_parameters_of_a_url_are_texts() -> None:
    assert convert({"count": "3"}, Line, texts=True) == Line(count=3)
    with pytest.raises(InvalidInputError, match='count: expected a whole number, got "three"'):
        convert({"count": "three"}, Line, texts=True)


def test_a_fitting_body_is_decoded() -> None:
    body = decode_json('{"email": "jürgen@x", "lines": [{"count": 2}]}'.encode(), Body)
    assert body == Body(email="jürgen@x", lines=[Line(count=2)])


def test_convert_with_thousands_of_unknown_fields_reports_some_of_them() -> None:
    body = json.dumps({f"{'x' * 200}{n}": 1 for n in range(300)}).encode()
    with pytest.raises(InvalidInputError) as caught:
        decode_json(body, Body)
    assert len(caught.value.errors) == MAX_ERRORS + 1
    assert "more invalid fields" in caught.value.errors[-1].got
    assert all(len(error.field) <= 83 for error in caught.value.errors)


def test_convert_with_a_long_unknown_inner_field_shortens_its_name() -> None:
    body = json.dumps({"email": "abc", "lines": [{"count": 1, "x" * 60_000: 1}]}).encode()
    with pytest.raises(InvalidInputError) as caught:
        decode_json(body, Body)
    assert all(len(error.field) <= 83 for error in caught.value.errors)


class Choice(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    code: Annotated[str, msgspec.Meta(pattern="^[a-z]{2}$", description="two small letters")]
    side: Literal["front", "back"] = "front"
    mark: Annotated[str, msgspec.Meta(pattern="^[0-9]$", description="a digit")] | None = None
    inner: list[Line] = []


class Choices(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    items: list[Choice]
    kind: Annotated[Literal["a", "b"], msgspec.Meta(description="the kind")]


def test_convert_text_against_pattern_reports_the_description() -> None:
    with pytest.raises(InvalidInputError) as caught:
        convert({"items": [{"code": "ab"}, {"code": "ABC"}], "kind": "a"}, Choices)
    (error,) = caught.value.errors
    assert (error.field, error.expected) == ("items[1].code", "two small letters")


def test_convert_value_outside_enum_reports_the_values() -> None:
    with pytest.raises(InvalidInputError) as caught:
        convert({"items": [{"code": "ab", "side": "left"}], "kind": "c"}, Choices)
    assert {e.field: (e.expected, e.got) for e in caught.value.errors} == {
        "items[0].side": ("one of back, front", '"left"'),
        "kind": ("one of a, b", '"c"'),
    }


def test_convert_optional_text_against_pattern_reports_the_description() -> None:
    with pytest.raises(InvalidInputError, match=r"items\[0\].mark: expected a digit"):
        convert({"items": [{"code": "ab", "mark": "x"}], "kind": "a"}, Choices)


def test_convert_missing_field_reports_its_values_or_description() -> None:
    with pytest.raises(InvalidInputError) as caught:
        convert({"items": [{}]}, Choices)
    assert {e.field: e.expected for e in caught.value.errors} == {
        "items[0].code": "two small letters",
        "kind": "one of a, b",
    }


def test_convert_list_of_wrong_length_reports_the_number_of_items() -> None:
    class Few(msgspec.Struct):
        names: Annotated[list[str], msgspec.Meta(min_length=1, max_length=2)]

    with pytest.raises(InvalidInputError, match="a list of at least 1 items"):
        convert({"names": []}, Few)
    with pytest.raises(InvalidInputError, match="a list of at most 2 items"):
        convert({"names": ["a", "b", "c"]}, Few)
