"""docs/reference/patterns.md: every pattern has tests, and they exist."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from services.platform import manifest
from services.platform.aws import clients
from tests.support import pattern_page
from tests.support.pattern_page import PAGE, ROOT, missing, named_tests, read_results

TESTS = named_tests(PAGE.read_text(encoding="utf-8"))
PATTERNS = 29


def test_page_has_every_pattern_with_a_test() -> None:
    assert list(TESTS) == list(range(1, PATTERNS + 1))
    assert all(TESTS.values())


@pytest.mark.parametrize("number", TESTS)
def test_tests_of_a_pattern_exist(number: int) -> None:
    assert [str(test) for test in TESTS[number] if not test.exists] == []


def test_test_that_did_not_run_or_failed_is_missing(tmp_path: Path) -> None:
    page = (
        "| 1 | a | `tests/unit/test_a.py::test_one`, `tests/unit/test_a.py::test_two` |\n"
        "| 2 | b | `tests/unit/test_b.py`, `terraform/a.tftest.hcl::run` |\n"
        "| 3 | c | `tests/unit/test_a.py::test_three` |\n"
    )
    results = tmp_path / "unit.xml"
    results.write_text(
        "<testsuites><testsuite>"
        '<testcase classname="tests.unit.test_a" name="test_one[x]"/>'
        '<testcase classname="tests.unit.test_a.TestIt" name="test_two"><failure/></testcase>'
        '<testcase classname="tests.unit.test_b" name="test_any"/>'
        '<testcase classname="tests.unit.test_a" name="test_three"><skipped message="why"/>'
        "</testcase>"
        "</testsuite></testsuites>"
    )
    assert missing(page, read_results([results])) == {
        "pattern 1: tests/unit/test_a.py::test_two": None,
        "pattern 3: tests/unit/test_a.py::test_three": "why",
    }


def test_skipped_tests_fail_the_check_unless_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "patterns.md"
    page.write_text("| 1 | a | `tests/unit/test_a.py::test_one` |\n")
    monkeypatch.setattr(pattern_page, "PAGE", page)
    case = '<testcase classname="tests.unit.test_a" name="test_one">{}</testcase>'
    expected = {"": (0, 0), '<skipped message="no engine"/>': (1, 0), "<failure/>": (1, 1)}
    for outcome, codes in expected.items():
        results = tmp_path / "unit.xml"
        results.write_text(f"<testsuite>{case.format(outcome)}</testsuite>")
        for options, code in zip(([], ["--allow-skipped"]), codes, strict=True):
            monkeypatch.setattr("sys.argv", ["pattern_page", *options, str(results)])
            assert pattern_page.main() == code
    assert "tests/unit/test_a.py::test_one was skipped: no engine" in capsys.readouterr().err


def test_every_function_outlasts_a_call_of_aws_and_its_retry() -> None:
    """A call that fails to connect is repeated once, and its caller still answers; close to the end
    of the invocation calls become shorter."""
    shortest = 2 * clients.CONNECT_TIMEOUT_SECONDS + clients.RETRY_PAUSE_SECONDS
    functions = [f for f in manifest.load_all(ROOT / "images") if f.grants]
    assert {f.name: f.timeout_seconds for f in functions if f.timeout_seconds <= shortest} == {}


@pytest.mark.parametrize(
    ("library", "folder"),
    [
        ("boto3", "services"),
        ("PIL", "services/imaging"),
        ("psycopg2", "services/platform"),
        ("structlog", "services/platform"),
        ("pytest", "tests"),
        ("testcontainers", "tests"),
    ],
)
def test_each_named_library_is_imported(library: str, folder: str) -> None:
    assert any(
        name.partition(".")[0] == library
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _imported(node)
    )


def test_environments_run_lambdas_own_runtime_client() -> None:
    source = (ROOT / "services" / "runtime" / "environment.py").read_text(encoding="utf-8")
    names = {name for node in ast.walk(ast.parse(source)) for name in _imported(node)}
    assert "awslambdaric.__main__" in names


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []
