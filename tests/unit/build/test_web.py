"""The committed build of the web page."""

import gzip
import json
import re

import pytest

from services.build import web
from services.gateway.site import content_security_policy, payment_policy
from services.operations.cost import console_costs
from services.platform.checkout import PROJECT

PAGES = ("index.html", "docs.html")


def test_build_is_of_the_current_sources() -> None:
    assert web.NOTE.read_text(encoding="ascii").strip() == web.digest(), "run `make web`"


def test_build_names_no_other_host_and_has_no_inline_code() -> None:
    for name in PAGES:
        page = (web.WEB / "dist" / name).read_text(encoding="utf-8")
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|https?://", page)
        assert re.findall(r'src="(/assets/[^"]+\.js)"', page)


def test_costs_of_the_console_are_those_of_the_price_file() -> None:
    assert json.loads(console_costs.FILE.read_text(encoding="utf-8")) == console_costs.document(), (
        "run `make web`"
    )


def test_payment_page_names_stripe_alone() -> None:
    page = (web.WEB / "dist" / "pay.html").read_text(encoding="utf-8")
    page = re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=", page)
    assert re.findall(r"https?://[^\"']+", page) == ["https://js.stripe.com/v3/"]


@pytest.mark.parametrize("name", PAGES)
def test_first_load_is_at_most_90_kb_compressed(name: str) -> None:
    page = web.WEB / "dist" / name
    named = re.findall(r'(?:src|href)="/([^"]+)"', page.read_text(encoding="utf-8"))
    files = [page, *(web.WEB / "dist" / path for path in named)]
    assert len(files) > 3
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) <= 90_000


@pytest.mark.parametrize(
    ("local", "in_a_lab"),
    [
        ("content_security_policy", content_security_policy(("${local.storage}",))),
        ("payment_policy", payment_policy()),
    ],
)
def test_policy_on_aws_is_the_policy_of_the_lab(local: str, in_a_lab: str) -> None:
    module = (PROJECT / "terraform" / "modules" / "site" / "main.tf").read_text(encoding="utf-8")
    listed = module.partition(f"  {local} = join(")[2].partition("])")[0]
    on_aws = re.findall(r'"([a-z-]+ [^"]*)"', listed)
    assert on_aws == in_a_lab.split("; ")
