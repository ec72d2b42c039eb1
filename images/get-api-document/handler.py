"""Returns the OpenAPI document."""

from pathlib import Path

from services.api.get_api_document import GET_API_DOCUMENT, GetApiDocument
from services.platform.functions.http import http_function

handler = http_function(
    GET_API_DOCUMENT, GetApiDocument(Path(__file__).with_name("openapi.json").read_bytes()).handle
)
