"""One correlation id through all functions that handle a photo or an order."""

from __future__ import annotations

import email
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.cli.main import main
from services.client.api import Api
from services.local import logs
from services.local.state import LabFiles, LabState
from services.mail.letter import CORRELATION_ID_HEADER
from services.monitoring.trace import COLUMNS
from tests.integration.api.conftest import Customer
from tests.integration.api.test_authorization import DELIVERY
from tests.support.photos import jpeg, scene
from tests.support.waiting import eventually

PRODUCT = "print-10x15-glossy"
PHOTO_FUNCTIONS = {"request-upload", "process-image", "send-image-email"}
ORDER_FUNCTIONS = {
    "create-order",
    "validate-order",
    "check-inventory",
    "process-payment",
    "fulfill-order",
    "send-order-confirmation",
    "send-payment-receipt",
    "send-order-shipped",
}


@pytest.fixture(scope="module")
def uploaded(
    new_customer: Callable[..., Customer], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Api, str, str]:
    """A customer's API, the id of an upload, and the id of its image."""
    api = new_customer().api
    path = tmp_path_factory.mktemp("photo") / "one.jpg"
    path.write_bytes(jpeg(scene(1300, 1900)))
    upload = api.upload(path)
    return api, upload, str(api.developed(upload)["id"])


def files(lab: LabState) -> LabFiles:
    return LabFiles(Path(lab.mail_folder).parent)


def ends(lab: LabState, correlation_id: str) -> dict[str, dict[str, Any]]:
    """The last line of each function about `correlation_id`: of an invocation, or of a message if
    an invocation had several."""
    return {
        line.function: line.fields
        for line in logs.read(files(lab))
        if line.fields is not None
        and line.fields.get("event") in ("invocation_completed", "message_completed")
        and line.fields.get("correlation_id") == correlation_id
    }


def await_functions(lab: LabState, correlation_id: str, functions: set[str]) -> None:
    def missing() -> set[str]:
        return functions - ends(lab, correlation_id).keys()

    eventually(lambda: not missing(), f"{sorted(functions)} handle {correlation_id}")


def mailed(lab: LabState, correlation_id: str) -> int:
    """How many e-mails have the correlation id; all others to their recipient have one, too."""
    found = [email.message_from_bytes(path.read_bytes()) for path in mails(lab)]
    own = [mail for mail in found if mail[CORRELATION_ID_HEADER] == correlation_id]
    recipients = {mail["To"] for mail in own}
    assert all(mail[CORRELATION_ID_HEADER] for mail in found if mail["To"] in recipients)
    return len(own)


def mails(lab: LabState) -> list[Path]:
    return sorted(Path(lab.mail_folder).glob("*.eml"))


def test_correlation_id_of_a_photo_is_on_every_function_and_its_email(
    lab: LabState, uploaded: tuple[Api, str, str]
) -> None:
    _, upload, image_id = uploaded
    await_functions(lab, upload, PHOTO_FUNCTIONS)
    for function, end in ends(lab, upload).items():
        assert end["duration_ms"] >= 0, function
        assert isinstance(end["cold_start"], bool), function
        assert end["version"] == "$LATEST", function
    of_photo = [
        line.fields
        for line in logs.read(files(lab))
        if line.fields is not None
        and "attempt" in line.fields
        and (line.fields.get("image_id") == image_id or upload in line.fields.get("key", ""))
    ]
    assert {line.get("correlation_id") for line in of_photo} == {upload}
    # An invocation that failed has an end, too: then a later one sends the e-mail.
    eventually(lambda: mailed(lab, upload) > 0, "the e-mail is there")
    assert mailed(lab, upload) == 1


def test_correlation_id_of_an_order_is_on_every_function_and_its_emails(
    lab: LabState, uploaded: tuple[Api, str, str]
) -> None:
    api, _, image_id = uploaded
    lines = [{"product_id": PRODUCT, "image_id": image_id, "quantity": 1}]
    order_id = api.order(lines, "sandbox-ok", DELIVERY)["id"]
    assert api.ended(order_id)["status"] == "shipped"
    await_functions(lab, order_id, ORDER_FUNCTIONS)
    of_order = [
        line.fields
        for line in logs.read(files(lab))
        if line.fields is not None
        and "attempt" in line.fields
        and line.fields.get("order_id") == order_id
    ]
    assert {line.get("correlation_id") for line in of_order} == {order_id}
    eventually(lambda: mailed(lab, order_id) >= 3, "the e-mails are there")
    assert mailed(lab, order_id) == 3


@pytest.mark.parametrize("by", ["upload", "image"])
def test_trace_of_a_photo_tells_its_way_from_upload_to_email(
    lab: LabState,
    uploaded: tuple[Api, str, str],
    by: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, upload, image_id = uploaded
    await_functions(lab, upload, PHOTO_FUNCTIONS)
    monkeypatch.setattr("services.cli.trace.DEFAULT_ROOT", files(lab).root)
    identifier = upload if by == "upload" else image_id
    assert main(["trace", identifier, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["correlation_ids"] == [upload]
    functions = [span["function"] for span in document["spans"]]
    assert PHOTO_FUNCTIONS | {"gateway", "authorize-request"} <= set(functions)
    steps = [functions.index(f) for f in ("request-upload", "process-image", "send-image-email")]
    assert steps == sorted(steps)
    assert main(["trace", identifier]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= COLUMNS
    assert "email_sent" in text
