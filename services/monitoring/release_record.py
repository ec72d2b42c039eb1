"""The record of releases: a parameter that Terraform makes and reads (terraform/lab/release.tf)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.platform.aws.clients import error_code
from services.platform.errors import PermanentError


@dataclass(frozen=True)
class Record:
    """Versions by function: those before the last release, and those that a function is held at.
    `mail_rate`: e-mails a second that SES allows; None if no release has read it. `environment`
    and `changed_at`: the environment of the last release or rollback, and its time; None in records
    of older releases."""

    before: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    mail_rate: float | None = None
    environment: str | None = None
    changed_at: str | None = None

    def text(self) -> str:
        document: dict[str, Any] = {"before": dict(self.before), "held": dict(self.held)}
        more = {
            "mail_rate": self.mail_rate,
            "environment": self.environment,
            "changed_at": self.changed_at,
        }
        document |= {name: value for name, value in more.items() if value is not None}
        return json.dumps(document, sort_keys=True)


def parameter_name(prefix: str) -> str:
    """The name of the parameter of the lab whose resources' names begin with `prefix`."""
    return f"/{prefix}/release"


def read_record(ssm: Any, parameter: str) -> Record:
    """The record in `parameter`. Raises PermanentError when it holds something else, or nothing."""
    try:
        value = ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
        document = json.loads(value)
        before, held = document["before"], document["held"]
    except (ValueError, KeyError, TypeError):
        raise PermanentError(
            f'expected {{"before": {{...}}, "held": {{...}}}} in the parameter {parameter}, '
            "got something else"
        ) from None
    except Exception as error:
        if error_code(error) != "ParameterNotFound":
            raise
        raise PermanentError(
            f"expected the parameter {parameter}, which Terraform makes, and found none"
        ) from error
    return Record(
        before,
        held,
        document.get("mail_rate"),
        document.get("environment"),
        document.get("changed_at"),
    )


def write_record(ssm: Any, parameter: str, record: Record) -> None:
    """Writes the record; Terraform reads it with its next plan."""
    ssm.put_parameter(Name=parameter, Value=record.text(), Type="String", Overwrite=True)
