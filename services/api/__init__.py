"""Functions about the API itself: CORS preflights and the OpenAPI document."""
