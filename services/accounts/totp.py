"""Time-based one-time passwords: RFC 6238, on the HOTP of RFC 4226.

https://www.rfc-editor.org/rfc/rfc6238, https://www.rfc-editor.org/rfc/rfc4226
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import quote, urlencode

# What every authenticator app supports.
DIGITS = 6
PERIOD_SECONDS = 30
# RFC 4226 section 4: the length of the hash.
SECRET_BYTES = 20
# RFC 6238 section 5.2 recommends one step for the delay of the network and of typing.
_STEPS_AROUND = (0, -1, 1)
ISSUER = "Darkroom"


def hotp(secret: bytes, counter: int, digits: int = DIGITS) -> str:
    """The code of a counter (RFC 4226 section 5.3)."""
    digest = hmac.digest(secret, counter.to_bytes(8, "big"), hashlib.sha1)
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def step_at(seconds: float) -> int:
    """The time step of a time (seconds since the epoch)."""
    return int(seconds) // PERIOD_SECONDS


def matching_step(secret: bytes, code: str, seconds: float) -> int | None:
    """The time step whose code this is, at the time `seconds` or one step around it; None if there
    is none."""
    now = step_at(seconds)
    found = None
    for step in (now + around for around in _STEPS_AROUND):
        if hmac.compare_digest(hotp(secret, step).encode(), code.encode()) and found is None:
            found = step
    return found


def encode_secret(secret: bytes) -> str:
    """The secret as authenticator apps take it: base32 without padding."""
    return base64.b32encode(secret).decode().rstrip("=")


def otpauth_uri(secret: bytes, email: str) -> str:
    """The URI that authenticator apps read from a QR code:
    https://github.com/google/google-authenticator/wiki/Key-Uri-Format"""
    parameters = {
        "secret": encode_secret(secret),
        "issuer": ISSUER,
        "algorithm": "SHA1",
        "digits": str(DIGITS),
        "period": str(PERIOD_SECONDS),
    }
    return f"otpauth://totp/{quote(f'{ISSUER}:{email}')}?{urlencode(parameters)}"
