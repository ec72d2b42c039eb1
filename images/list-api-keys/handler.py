"""Lists a customer's API keys."""

import os
from dataclasses import dataclass

from services.accounts.api_keys import ApiKeyStore
from services.accounts.key_api import LIST_API_KEYS
from services.accounts.list_api_keys import ListApiKeys
from services.platform.aws.clients import client
from services.platform.configuration import read, variable
from services.platform.functions.http import http_function


@dataclass(frozen=True)
class Configuration:
    """Environment variables of this function."""

    api_keys_table: str = variable("API_KEYS_TABLE", help="table of the API keys")


configuration = read(Configuration, os.environ)
keys = ApiKeyStore(client("dynamodb"), configuration.api_keys_table)
handler = http_function(LIST_API_KEYS, ListApiKeys(keys).handle)
