"""Signatures of requests that no client of botocore sends.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
"""

from __future__ import annotations

from collections.abc import Mapping

from services.platform.aws.clients import session


def signed_headers(
    url: str, body: bytes, headers: Mapping[str, str], *, service: str, region: str
) -> dict[str, str]:
    """`headers` of a POST with the signature of this process's credentials. Without any they
    stay as they are: the service refuses the request and says why."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    credentials = session().get_credentials()
    if credentials is None:
        return dict(headers)
    request = AWSRequest("POST", url, headers=dict(headers), data=body)
    SigV4Auth(credentials.get_frozen_credentials(), service, region).add_auth(request)
    return dict(request.headers.items())
