"""Secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from services.local.provision.names import resource_name


def make_secret(session: Any, name: str, value: Mapping[str, str], prefix: str) -> str:
    manager = session.client("secretsmanager")
    secret, text = resource_name(name, prefix), json.dumps(value)
    try:
        made = manager.create_secret(Name=secret, SecretString=text)
    except manager.exceptions.ResourceExistsException:
        made = manager.put_secret_value(SecretId=secret, SecretString=text)
    return str(made["ARN"])


def make_empty_secret(session: Any, name: str, prefix: str) -> str:
    """A secret without a value, or the one that exists. Returns its ARN."""
    manager = session.client("secretsmanager")
    secret = resource_name(name, prefix)
    try:
        made = manager.create_secret(Name=secret)
    except manager.exceptions.ResourceExistsException:
        made = manager.describe_secret(SecretId=secret)
    return str(made["ARN"])
