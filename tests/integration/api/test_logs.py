"""No log of a lab contains a secret or a personal datum: those of functions, gateway and workers,
of the emulator, the mailbox and Postgres."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.client.api import Api, ApiProblem
from services.local.mailbox import latest_code, sent_code
from services.local.state import LabState
from tests.integration.accounts.test_second_factor import code_of
from tests.integration.api.conftest import forget_attempts
from tests.integration.api.test_customer import MAIL_SECONDS, wait_for_mail
from tests.integration.api.test_orders import PRODUCT
from tests.support.photos import jpeg, scene
from tests.support.waiting import HTTP_SECONDS, eventually, scaled

pytestmark = pytest.mark.slow


def unique(word: str) -> str:
    return f"{word}{uuid.uuid4().hex[:10]}"


def logs(lab: LabState) -> dict[str, str]:
    """Every log of the lab, by the name of its process."""
    folder = Path(lab.mail_folder).parent / "logs"
    return {path.stem: path.read_text(errors="replace") for path in sorted(folder.glob("*.log"))}


def occurrences(lab: LabState, given: dict[str, str]) -> list[str]:
    """Where a value occurs in a log: the process, the value's name and the start of the line."""
    found = []
    for process, text in logs(lab).items():
        for line in text.splitlines():
            found += [
                f"{process}: {name} in {line[:300]}"
                for name, value in given.items()
                if value.lower() in line.lower()
            ]
    return found


def attempt(call: Callable[[], object]) -> None:
    """Makes a call that the API rejects."""
    with pytest.raises(ApiProblem):
        call()


def test_logs_of_a_full_run_contain_no_secret_and_no_personal_datum(
    lab: LabState, tmp_path: Path
) -> None:
    forget_attempts(lab)
    email = f"{unique('grace.')}@darkroom.example"
    password, another = unique("a long password "), unique("another long password ")
    name, filename = f"Grace {unique('Hopper')}", f"{unique('passport of grace ')}.jpg"
    delivery = {
        "name": f"Grace {unique('Murray')}",
        "line1": f"{unique('Hafenstrasse')} 1",
        "postcode": "20457",
        "city": unique("Hamburg"),
        "country": "DE",
    }
    path = tmp_path / filename
    path.write_bytes(jpeg(scene(1300, 1900)))

    api = Api(lab.api)
    api.sign_up(email)
    attempt(lambda: api.sign_up("no address"))
    code = sent_code(Path(lab.mail_folder), email, scaled(MAIL_SECONDS))
    attempt(lambda: api.confirm(email, "0000-0000", name, password))
    user = api.confirm(email, code, name, password)
    attempt(lambda: api.confirm(email.upper(), code, name, password))
    attempt(lambda: api.sign_in(email, another))
    device_token = api.sign_in(email, password)["device_token"]
    api.sign_in(email, password, device_token=device_token)
    first_token = str(api.token)
    api.change_password(password, another)
    # Its calls fail: nothing listens there.
    hook = f"http://127.0.0.1:9/{unique('hook')}"
    webhook = api.set_webhook(hook, ["image.developed"])
    image = api.developed(api.upload(path))
    lines = [{"product_id": PRODUCT, "image_id": image["id"], "quantity": 1}]
    for method in ("sandbox-ok", "sandbox-declined"):
        api.ended(api.order(lines, method, delivery)["id"])
    attempt(lambda: api.order(lines, "sandbox-ok", delivery | {"country": "nowhere"}))
    links = [rendition["url"] for rendition in api.image(image["id"])["renditions"]]
    api.download(links[0])
    refused_session(lab, first_token[:-1] + "x")
    wait_for_mail(lab, email, "Developed")
    eventually(lambda: "webhook_not_sent" in "".join(logs(lab).values()), "the webhook is called")
    api.delete_image(image["id"])
    eventually(lambda: list(api.images()) == [], "the photo is deleted")
    later = secrets_of_account(lab, api, email, another)
    api.delete_webhook(webhook["id"])
    api.sign_out()
    api.close()

    given = {
        "e-mail address": email.partition("@")[0],
        "code": code,
        "password": password,
        "new password": another,
        "name": name.partition(" ")[2],
        "recipient": delivery["name"].partition(" ")[2],
        "street": delivery["line1"].partition(" ")[0],
        "city": delivery["city"],
        "session token": first_token,
        "device token": device_token,
        "file name": filename.rpartition(" ")[2].removesuffix(".jpg"),
        "password hash": "$argon2",
        "webhook's path": hook.rpartition("/")[2],
        "webhook's secret": webhook["secret"],
        "link's signature": links[0].rpartition("X-Amz-Signature=")[2][:40],
    } | later
    given |= secrets_of(lab)
    assert user["id"] in "".join(logs(lab).values())
    assert occurrences(lab, given) == []


def secrets_of_account(lab: LabState, api: Api, email: str, password: str) -> dict[str, str]:
    """Gives the account an API key, a second factor and a code of a reset; returns their
    secrets."""
    key = api.create_api_key("server", ["photos:read"])["key"]
    with closing(Api(lab.api)) as server:
        server.token = key
        assert list(server.images()) == []
    secret = api.enrol_second_factor(password)["secret"]
    first = code_of(secret)
    recovery = api.confirm_second_factor(first)
    attempt(lambda: api.sign_in(email, password, "000000"))
    api.sign_in(email, password, recovery[0])
    before = sent_code(Path(lab.mail_folder), email, scaled(MAIL_SECONDS))
    api.request_password_reset(email)
    reset = eventually(
        lambda: (code := latest_code(Path(lab.mail_folder), email)) != before and code,
        "the code of the reset",
    )
    attempt(lambda: api.reset_password(email, str(reset), "short"))
    return {
        "API key": key,
        "secret of the authenticator app": secret,
        "used recovery code": recovery[0],
        "recovery code": recovery[1],
        "code of the reset": str(reset),
        "session token with a second factor": str(api.token),
    }


def refused_session(lab: LabState, token: str) -> None:
    answer = httpx.get(
        f"{lab.api}/sessions/current",
        headers={"authorization": f"Bearer {token}"},
        timeout=scaled(HTTP_SECONDS),
    )
    assert answer.status_code == 401


def secrets_of(lab: LabState) -> dict[str, str]:
    """The secrets in the lab's Secrets Manager: those of the database and the payment provider."""
    manager = lab.session.client("secretsmanager")
    found: dict[str, str] = {}
    for secret in manager.list_secrets()["SecretList"]:
        # `webhooks` has no value until an operator sets one.
        text = manager.get_secret_value(SecretId=secret["ARN"]).get("SecretString", "{}")
        values: dict[str, Any] = json.loads(text)
        found |= {
            f"{secret['Name']}: {name}": value
            for name, value in values.items()
            if name not in ("username", "user")
        }
    return found
