"""The list of common passwords, and the variants of them that are refused."""

from __future__ import annotations

import secrets

import pytest

from services.accounts import passwords
from services.accounts.common_passwords import DIGEST_BYTES, LIST, digest, is_common
from services.build.common_passwords import packed


@pytest.mark.parametrize(
    "password",
    [
        "1q2w3e4r5t6y",
        "1Q2W3E4R5T6Y",
        "password1234",
        "!!Password12",
        "P@ssw0rd1234",
        "passwordpassword",
        "administration",
        "123456789012",
        "987654321098",
        "abcdefghijklm",
        "qwertyuiopasdf",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "            ",
    ],
)
def test_password_when_common_or_derived_from_a_common_one_is_refused(password: str) -> None:
    assert is_common(password)
    assert passwords.unmet_requirement(password, "ada@example.com") is not None


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "Tr0ub4dor&3xyz",
        "abc837265918352",  # a known word with more digits than an attacker tries first
        "füllfederhalter im regen",
        "рукопожатие на мосту",
    ],
)
def test_password_when_not_derived_from_a_common_one_is_accepted(password: str) -> None:
    assert passwords.unmet_requirement(password, "ada@example.com") is None


def test_password_when_typed_in_full_width_letters_is_compared_in_its_normal_form() -> None:
    full_width = "".join(chr(ord(letter) + 0xFEE0) for letter in "password1234")
    assert passwords.unmet_requirement(full_width, "ada@example.com") is not None


def test_random_passwords_are_not_refused_by_mistake() -> None:
    assert not any(is_common(secrets.token_urlsafe(12)) for _ in range(2000))


def test_list_has_sorted_unique_entries_and_no_plain_text() -> None:
    content = LIST.read_bytes()
    entries = [content[i : i + DIGEST_BYTES] for i in range(0, len(content), DIGEST_BYTES)]
    assert len(entries) > 50_000
    assert entries == sorted(set(entries))
    assert len(entries[-1]) == DIGEST_BYTES
    assert b"password" not in content


def test_packed_list_has_every_password_and_words_long_enough() -> None:
    assert packed(["Secret", "abc"], ["short", "elephant"]) == b"".join(
        sorted(digest(text) for text in ("secret", "abc", "elephant"))
    )
