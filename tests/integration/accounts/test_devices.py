"""Known devices: their tokens on real tables with a manual clock, then behind the handlers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.accounts import devices as known
from services.accounts import rate_limit
from services.accounts.devices import Device, KnownDevices
from services.accounts.rate_limit import SignInLimit
from services.accounts.sessions import SessionStore
from services.platform.counters import LimitExceededError
from tests.integration.accounts.conftest import Answered, Api
from tests.integration.accounts.support import (
    PASSWORD,
    change_password,
    create_account,
    notice_queue,
    receive_notices,
    sign_in,
)
from tests.integration.accounts.test_sessions import ADA, BOB
from tests.integration.conftest import Provisioned
from tests.support.clock import Clock

FAILED, REFUSED, OPENED = 401, 429, 201


@pytest.fixture
def devices(provisioned: Provisioned, clock: Clock) -> KnownDevices:
    dynamodb = provisioned.session.client("dynamodb")
    return KnownDevices(SessionStore(dynamodb, provisioned.lab.table("sessions"), clock))


@pytest.fixture
def limit(provisioned: Provisioned, clock: Clock) -> SignInLimit:
    dynamodb = provisioned.session.client("dynamodb")
    return SignInLimit(dynamodb, provisioned.lab.table("sign-in-attempts"), clock)


# -- tokens


def test_find_accepts_the_token_for_its_account_alone(devices: KnownDevices) -> None:
    token = devices.add(ADA)
    id_ = devices.find(token, "ADA@example.com")
    assert id_ is not None
    assert devices.find(token, BOB.email) is None
    changed = [token[:i] + ("A" if c != "A" else "B") + token[i + 1 :] for i, c in enumerate(token)]
    session_token, session = devices.sessions.open(ADA)
    for wrong in [*changed, "", f"{token}A", id_, "é" * 43, session_token, session.id]:
        assert devices.find(wrong, ADA.email) is None
    stored = devices.sessions.dynamodb.scan(TableName=devices.sessions.table)["Items"]
    assert token not in json.dumps(stored)


def test_token_of_a_device_opens_no_session(devices: KnownDevices) -> None:
    token = devices.add(ADA)
    assert devices.sessions.find(token) is None
    assert devices.sessions.newest(ADA.id, 10) == []


def test_device_expires_180_days_after_its_last_sign_in(
    devices: KnownDevices, clock: Clock
) -> None:
    token = devices.add(ADA)
    for _ in range(2):
        clock.now += known.DEVICE_SECONDS - 1
        id_ = devices.find(token, ADA.email)
        assert id_ is not None
        assert devices.renew(id_)
    clock.now += known.DEVICE_SECONDS
    # DynamoDB deletes late: the item is still there.
    assert devices.find(token, ADA.email) is None
    assert [*devices.of_user(ADA.id)] == []


def test_close_all_deletes_the_devices_of_the_user_alone(
    devices: KnownDevices, clock: Clock
) -> None:
    token, other = devices.add(ADA), devices.add(BOB)
    id_ = devices.find(token, ADA.email)
    assert id_ is not None
    _, session = devices.sessions.open(ADA)
    expires_at = int(clock.now) + known.DEVICE_SECONDS
    (listed,) = devices.of_user(ADA.id)
    assert listed == Device(listed.created_at, expires_at)
    assert devices.sessions.close_all(ADA.id, keep=session.id) == 0
    assert devices.find(token, ADA.email) is None
    assert not devices.renew(id_)
    assert devices.find(token, ADA.email) is None
    assert devices.find(other, BOB.email) is not None
    assert devices.sessions.newest(ADA.id, 10) == [session]


# -- limits


def test_device_is_not_locked_out_by_others(limit: SignInLimit) -> None:
    for number in range(rate_limit.ACCOUNT_ATTEMPTS):
        limit.count(ADA.email, f"198.51.100.{number}")
    for number in range(rate_limit.ADDRESS_ATTEMPTS):
        limit.count(f"user{number}@example.com", "192.0.2.1")
    with pytest.raises(LimitExceededError):
        limit.count(ADA.email, "203.0.113.1")
    limit.succeeded(limit.count(ADA.email, "192.0.2.1", "device a"))
    # The success does not unlock the account for others.
    with pytest.raises(LimitExceededError):
        limit.count(ADA.email, "203.0.113.1")


def test_failures_of_a_device_are_limited_until_a_success(limit: SignInLimit) -> None:
    # From many networks, as a thief of the token would try.
    for number in range(rate_limit.ACCOUNT_ATTEMPTS - 1):
        limit.count(ADA.email, f"192.0.2.{number}", "device a")
    limit.succeeded(limit.count(ADA.email, "192.0.2.100", "device a"))
    for number in range(rate_limit.ACCOUNT_ATTEMPTS):
        limit.count(ADA.email, f"192.0.2.{number}", "device a")
    for address in ("192.0.2.100", "203.0.113.1"):
        with pytest.raises(LimitExceededError):
            limit.count(ADA.email, address, "device a")
    # The failures count for this device only.
    limit.count(ADA.email, "203.0.113.1", "device b")
    limit.count(ADA.email, "203.0.113.1")


# -- routes


def sign_in_on(api: Api, token: str, address: str, password: str = PASSWORD) -> Answered:
    body = {"email": "ada@example.com", "password": password}
    headers = {"Device-Token": token}
    return api.call("open-session", body, address=address, headers=headers)


def lock(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uses up the account's attempts from other networks."""
    monkeypatch.setattr(rate_limit, "ACCOUNT_ATTEMPTS", 3)
    for number in range(3):
        answer = sign_in(api, password="wrong password", address=f"198.51.100.{number}")
        assert answer.status == FAILED
    assert sign_in(api, address="198.51.100.9").status == REFUSED


def test_owner_with_device_signs_in_from_new_network_while_account_is_attacked(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_account(api)
    with api.fresh.database().transaction() as cursor:
        cursor.execute("UPDATE users SET created_at = now() - interval '1 day'")
    token = sign_in(api).document["device_token"]
    notices = notice_queue(api)
    lock(api, monkeypatch)
    opened = sign_in_on(api, token, "203.0.113.1")
    assert opened.status == OPENED
    assert opened.document["device_token"] == token
    assert receive_notices(api, notices) == []  # a known device needs none
    # With a token, a thief has the attempts of one device, from whatever network.
    for number in range(3):
        answer = sign_in_on(api, token, f"203.0.113.{number}", "wrong password")
        assert answer.status == FAILED
    assert sign_in_on(api, token, "203.0.113.200").status == REFUSED


@pytest.mark.parametrize("end", ["password", "all sessions", "other sessions"])
def test_device_is_unknown_after_password_change_and_end_of_sessions(
    api: Api, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_account(api)
    opened = sign_in(api).document
    token, device = opened["token"], opened["device_token"]
    if end == "password":
        assert change_password(api, token, PASSWORD, PASSWORD[::-1]).status == 204
    elif end == "all sessions":
        assert api.call("close-session", token=token, query={"all": "true"}).status == 204
    else:
        assert api.call("close-other-sessions", token=token).status == 204
    lock(api, monkeypatch)
    current = PASSWORD[::-1] if end == "password" else PASSWORD
    assert sign_in_on(api, device, "203.0.113.1", current).status == REFUSED


def test_new_devices_of_a_day_are_limited(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    create_account(api)
    monkeypatch.setattr(rate_limit, "DEVICES_PER_DAY", 2)
    given = [sign_in(api).document["device_token"] for _ in range(3)]
    assert given[0] != given[1]
    assert given[2] is None
    assert sign_in_on(api, given[0], "192.0.2.7").document["device_token"] == given[0]


def test_browsers_get_the_device_token_in_a_cookie(api: Api) -> None:
    create_account(api)
    event: dict[str, Any] = {
        "routeKey": "POST /sessions",
        "rawPath": "/sessions",
        "headers": {"content-type": "application/json"},
        "requestContext": {"requestId": "api-request", "http": {"sourceIp": "192.0.2.7"}},
        "body": json.dumps({"email": "ada@example.com", "password": PASSWORD, "cookie": True}),
    }
    answer = api.invoke("open-session", event)
    document = json.loads(answer["body"])
    assert (document["token"], document["device_token"]) == (None, None)
    session, device = answer["cookies"]
    assert session.startswith("__Host-session=")
    token, age, *attributes = device.removeprefix("__Host-device=").split("; ")
    assert age == f"Max-Age={known.DEVICE_SECONDS}"
    assert attributes == ["Path=/", "Secure", "HttpOnly", "SameSite=Strict"]
    assert KnownDevices(api.sessions).find(token, "ada@example.com") is not None
