import json

import pytest

from services.events.schedules import check_scheduled
from services.platform.errors import PermanentError

# A message of EventBridge.
MESSAGE = {
    "version": "0",
    "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "123456789012",
    "time": "2026-11-24T22:44:35Z",
    "region": "us-east-1",
    "resources": ["arn:aws:events:us-east-1:123456789012:rule/darkroom-start-orders"],
    "detail": {},
}


def test_check_scheduled_accepts_message_of_schedule() -> None:
    check_scheduled(json.dumps(MESSAGE))


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no event",
        "[]",
        "{}",
        json.dumps(MESSAGE | {"source": "darkroom/orders"}),
        json.dumps(MESSAGE | {"detail-type": "EC2 Instance Terminated"}),
        json.dumps({"warmer": True}),
    ],
)
def test_check_scheduled_of_other_message_raises_permanent_error(body: str) -> None:
    with pytest.raises(PermanentError, match="expected a message"):
        check_scheduled(body)
