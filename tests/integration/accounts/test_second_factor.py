"""The second factor: enrolment, sign-in, recovery codes, removal, limits."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import Any

import pytest

from services.accounts import rate_limit, totp
from services.accounts.model import Role
from services.accounts.rate_limit import ACCOUNT_ATTEMPTS
from services.accounts.roles import change_role
from services.accounts.second_factors import RECOVERY_CODES
from services.accounts.users import Users
from tests.integration.accounts.conftest import Answered, Api
from tests.integration.accounts.support import (
    PASSWORD,
    create_account,
    notice_queue,
    receive_notices,
    sign_in,
)

EMAIL = "grace@example.com"
ROUTE = "/users/me/second-factor"
FUNCTION = "manage-second-factor"


def code_of(secret: str, around: int = 0) -> str:
    """The code of an app that has the secret, `around` steps from now."""
    padded = secret + "=" * (-len(secret) % 8)
    return totp.hotp(base64.b32decode(padded), totp.step_at(time.time()) + around)


def open_session(api: Api, code: str | None) -> Answered:
    return api.call("open-session", {"email": EMAIL, "password": PASSWORD, "code": code})


def problem(answer: Answered) -> tuple[int, str]:
    return answer.status, answer.document["type"].rpartition(":")[2]


@dataclass(frozen=True)
class Enabled:
    """A second factor. `used` is the code that confirmed it: of the step in which it was computed,
    so that it stays valid when a step ends meanwhile. Later codes are those of the step after."""

    secret: str
    used: str
    recovery: list[str]


def enable(api: Api, token: str) -> Enabled:
    """Sets up a second factor."""
    enrolled = api.call(FUNCTION, {"password": PASSWORD}, token, route=f"POST {ROUTE}")
    assert enrolled.status == 201
    secret = enrolled.document["secret"]
    used = code_of(secret)
    confirmed = api.call(FUNCTION, {"code": used}, token, route=f"PUT {ROUTE}")
    assert confirmed.status == 200
    return Enabled(secret, used, confirmed.document["recovery_codes"])


def state(api: Api, token: str) -> Any:
    return api.call(FUNCTION, token=token, route=f"GET {ROUTE}").document


def remove(api: Api, token: str, password: str, code: str) -> int:
    body = {"password": password, "code": code}
    return api.call(FUNCTION, body, token, route=f"POST {ROUTE}/removal").status


def test_second_factor_from_enrolment_to_removal(api: Api) -> None:
    create_account(api, EMAIL)
    token, other = (sign_in(api, EMAIL).document["token"] for _ in range(2))
    wrong = api.call(FUNCTION, {"password": "a wrong one"}, token, route=f"POST {ROUTE}")
    assert problem(wrong) == (403, "wrong-password")
    first = api.call(FUNCTION, {"password": PASSWORD}, token, route=f"POST {ROUTE}").document
    assert first["otpauth_uri"].startswith("otpauth://totp/Darkroom")
    # Nothing is asked for until the first code is confirmed.
    assert sign_in(api, EMAIL).status == 201
    assert state(api, token) == {"enabled": False, "recovery_codes_left": 0}
    factor = enable(api, token)
    recovery = factor.recovery
    assert factor.secret != first["secret"]
    assert len(set(recovery)) == RECOVERY_CODES
    assert state(api, token) == {"enabled": True, "recovery_codes_left": RECOVERY_CODES}
    assert api.call("get-session", token=other).status == 401
    again = api.call(FUNCTION, {"password": PASSWORD}, token, route=f"POST {ROUTE}")
    assert problem(again) == (409, "second-factor-enabled")

    assert problem(open_session(api, None)) == (401, "second-factor-required")
    # The code that confirmed is used up; the next one works once.
    assert open_session(api, factor.used).status == 401
    code = code_of(factor.secret, 1)
    assert open_session(api, code).status == 201
    assert problem(open_session(api, code)) == (401, "wrong-second-factor-code")
    assert open_session(api, recovery[0].lower().replace("-", " ")).status == 201
    assert open_session(api, recovery[0]).status == 401
    assert state(api, token)["recovery_codes_left"] == RECOVERY_CODES - 1

    assert remove(api, token, "a wrong one", recovery[1]) == 403
    assert remove(api, token, PASSWORD, "not-a-code") == 403
    assert remove(api, token, PASSWORD, recovery[1]) == 204
    assert state(api, token) == {"enabled": False, "recovery_codes_left": 0}
    assert sign_in(api, EMAIL).status == 201


def test_recovery_codes_are_stored_as_hashes_and_end_with_the_factor(api: Api) -> None:
    user_id = create_account(api, EMAIL)["id"]
    recovery = enable(api, sign_in(api, EMAIL).document["token"]).recovery
    database = api.fresh.database()
    with database.transaction() as cursor:
        cursor.execute("SELECT string_agg(c::text, ' ') FROM recovery_codes c")
        (stored,) = cursor.fetchone() or ("",)
    assert stored
    for code in recovery:
        assert code not in stored
        assert code.replace("-", "") not in stored
    with api.fresh.database(role="darkroom_erasure").transaction() as cursor:
        cursor.execute("DELETE FROM second_factors WHERE user_id = %s", [user_id])
    with database.transaction() as cursor:
        cursor.execute("SELECT count(*) FROM recovery_codes")
        assert cursor.fetchone() == (0,)
    database.close()


def test_wrong_codes_count_as_failed_sign_ins(api: Api) -> None:
    create_account(api, EMAIL)
    secret = enable(api, sign_in(api, EMAIL).document["token"]).secret
    # Correct credentials without a code are no failure.
    assert {open_session(api, None).status for _ in range(ACCOUNT_ATTEMPTS + 1)} == {401}
    answers = [open_session(api, "aaaaaa").status for _ in range(ACCOUNT_ATTEMPTS)]
    assert answers == [401] * ACCOUNT_ATTEMPTS
    assert open_session(api, code_of(secret, 1)).status == 429


def test_reused_code_is_logged_and_its_owner_gets_a_few_notices(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "NOTICES_PER_DAY", 2)
    create_account(api, EMAIL)
    secret = enable(api, sign_in(api, EMAIL).document["token"]).secret
    code = code_of(secret, 1)
    assert open_session(api, code).status == 201
    queue = notice_queue(api)
    assert open_session(api, "aaaaaa").status == 401
    assert receive_notices(api, queue) == []
    capsys.readouterr()
    for _ in range(3):
        assert problem(open_session(api, code)) == (401, "wrong-second-factor-code")
    assert capsys.readouterr().out.count("second_factor_code_reused") == 3
    notices = [notice["type"] for notice in receive_notices(api, queue)]
    assert notices == ["account.second_factor_code_reused"] * 2


@pytest.mark.parametrize("required", [True, False])
def test_administrator_has_rights_with_a_second_factor_where_required(
    api: Api, required: bool
) -> None:
    api.overrides["ADMINISTRATOR_SECOND_FACTOR"] = str(required).lower()
    create_account(api, EMAIL)
    users = Users(api.fresh.database())
    change_role(users, api.sessions, EMAIL, Role.ADMINISTRATOR)
    users.database.close()
    token = sign_in(api, EMAIL).document["token"]
    assert api.call("list-users", token=token).status == (403 if required else 200)
    factor = enable(api, token)
    token = open_session(api, code_of(factor.secret, 1)).document["token"]
    assert api.call("list-users", token=token).status == 200
    assert remove(api, token, PASSWORD, factor.recovery[0]) == (403 if required else 204)
