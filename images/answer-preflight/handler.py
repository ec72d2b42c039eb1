"""Answers CORS preflights of every route."""

import os
from dataclasses import dataclass

from services.api.answer_preflight import ANSWER_PREFLIGHT, AnswerPreflight, parse_rules
from services.platform.configuration import read, variable
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    rules: str = variable("CORS_RULES", help="every route's CORS rules, as JSON")


handler = http_function(
    ANSWER_PREFLIGHT, AnswerPreflight(parse_rules(read(Configuration, os.environ).rules)).handle
)
