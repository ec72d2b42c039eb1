"""show-unsubscribe-page: answers GET /unsubscribe/{token}."""

from __future__ import annotations

from html import escape

from services.platform.functions.http import Request, Response

HTML = "text/html; charset=utf-8"
# The address of the page contains the token: it goes to no other site.
_HEADERS = {
    "content-type": HTML,
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class ShowUnsubscribePage:
    """Shows a button. Opening the link changes nothing, since mail scanners open links too."""

    def handle(self, request: Request) -> Response:
        """Returns the page."""
        return page(
            "Unsubscribe",
            "Do you want no more e-mails about your photos?",
            f'<form method="post" action="{escape(request.parameters.token)}">'
            '<button style="font:inherit;padding:8px 20px">Unsubscribe</button></form>',
        )


def page(title: str, text: str, form: str = "") -> Response:
    """A page with a title and a paragraph of plain text, and a form in HTML."""
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title></head>"
        '<body style="margin:0;padding:24px;background:#f5f2ee;color:#1c1b1a;'
        'font:16px/1.5 Georgia,serif"><main style="max-width:480px;margin:0 auto;padding:32px;'
        'background:#fff;border-top:6px solid #8c5a3c">'
        f'<h1 style="margin:0 0 16px;font-size:22px">{escape(title)}</h1>'
        f"<p>{escape(text)}</p>{form}</main></body></html>"
    )
    return Response(200, html.encode(), _HEADERS)
