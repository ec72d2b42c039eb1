from pathlib import Path

import pytest

from services.platform import manifest
from services.platform.errors import ConfigurationError
from services.platform.manifest import Feature, Reference, Resource

ROOT = Path(__file__).resolve().parents[3]


def test_every_function_of_the_project_has_a_sound_manifest() -> None:
    names = [item.name for item in manifest.load_all(ROOT / "images")]
    assert {"process-image", "send-image-email"} <= set(names)


def test_process_image_is_read_whole() -> None:
    item = manifest.load(ROOT / "images" / "process-image")
    assert item.memory_mib == 1536
    assert item.visibility_timeout_seconds == 6 * item.timeout_seconds
    assert item.queue is not None
    assert item.queue.fair
    (source,) = item.queue.sources
    assert source.reference == Reference(Resource.BUCKET, "originals")
    assert source.events == ("s3:ObjectCreated:*", "s3:ObjectRemoved:*")
    assert item.environment["IMAGES_TABLE"] == Reference(Resource.TABLE, "images")


def test_all_mistakes_of_a_file_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "function.yaml").write_text(
        """
description: ""
memory_mib: 64
timeout_seconds: soon
surprise: 1
trigger:
  queue:
    batch_size: 0
    batch_window_seconds: 0
    maximum_concurrency: 2
    max_receive_count: 5
    fair: perhaps
    sources: [{basket: x}]
grants: [{table: images}]
environment: {TABLE: {table: images, bucket: originals}}
budgets: {image_mib_over_base: 1, init_kib: 1, init_ms: 1}
"""
    )
    with pytest.raises(ConfigurationError) as caught:
        manifest.load(tmp_path)
    mistakes = "\n".join(caught.value.mistakes)
    for expected in (
        "description must be a text",
        "feature must be one of photos, customers, orders, got None",
        "memory_mib must be a whole number 128..10240, got 64",
        "timeout_seconds must be a whole number 1..900, got 'soon'",
        "trigger.queue.batch_size must be",
        "trigger.queue.fair must be true or false, got 'perhaps'",
        "trigger.queue.sources[0] must name exactly one of bucket, table, topic, mail",
        "actions of {'table': 'images'} must be a list of texts",
        "environment.TABLE must name exactly one of",
        "surprise is not a known field",
    ):
        assert expected in mistakes


@pytest.mark.parametrize("content", ["", "- a\n- b\n", "a: [", "42"])
def test_a_file_that_is_no_manifest_gets_a_clear_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "function.yaml").write_text(content)
    with pytest.raises(ConfigurationError, match=r"function\.yaml"):
        manifest.load(tmp_path)


def test_a_folder_without_a_manifest_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected a function manifest, found none"):
        manifest.load(tmp_path)


ROUTE = """
description: Greets.
feature: photos
memory_mib: 128
timeout_seconds: {timeout}
trigger:
  http:
    route: {route}
    authorization: {authorization}
    maximum_concurrency: 10
    cors: {cors}
grants: []
budgets: {{image_mib_over_base: 1, init_kib: 1, init_ms: 1}}
"""


def route(folder: Path, **changes: str) -> manifest.Manifest:
    fields = {
        "timeout": "10",
        "route": '"GET /greetings/{id}/{rest+}"',
        "authorization": "session",
        "cors": "{site: web, allow_headers: [authorization], max_age_seconds: 60}",
    }
    (folder / "function.yaml").write_text(ROUTE.format(**fields | changes))
    return manifest.load(folder)


def test_a_route_is_read_whole(tmp_path: Path) -> None:
    http = route(tmp_path).http
    assert http is not None
    assert http.only.key == "GET /greetings/{id}/{rest+}"
    assert http.only.path_parameters == ("id", "rest")
    assert http.cors is not None
    assert http.cors.site == Reference(Resource.SITE, "web")
    assert (http.cors.allow_headers, http.cors.expose_headers) == (("authorization",), ())


def test_a_function_with_several_routes_is_read(tmp_path: Path) -> None:
    text = ROUTE.replace("    route: {route}", "    routes: [GET /greetings, POST /greetings]")
    fields = {"timeout": "10", "authorization": "session", "cors": ""}
    (tmp_path / "function.yaml").write_text(text.format(**fields))
    http = manifest.load(tmp_path).http
    assert http is not None
    assert [route.key for route in http.routes] == ["GET /greetings", "POST /greetings"]


def test_route_and_routes_together_are_refused(tmp_path: Path) -> None:
    text = ROUTE.replace("    route: {route}", "    route: GET /a\n    routes: [GET /b]")
    fields = {"timeout": "10", "authorization": "session", "cors": ""}
    (tmp_path / "function.yaml").write_text(text.format(**fields))
    with pytest.raises(ConfigurationError, match="either route or routes, got both"):
        manifest.load(tmp_path)


def test_cors_is_off_unless_named(tmp_path: Path) -> None:
    http = route(tmp_path, cors="").http
    assert http is not None
    assert http.cors is None


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({"route": "/greetings"}, "trigger.http.route must be a method and a path"),
        ({"route": "FETCH /greetings"}, "trigger.http.route must be a method and a path"),
        ({"authorization": "maybe"}, "must be one of none, session, got 'maybe'"),
        ({"cors": "{site: web}"}, "trigger.http.cors.max_age_seconds must be"),
        ({"cors": "{origin: x, max_age_seconds: 1}"}, "trigger.http.cors must name exactly one"),
        ({"timeout": "30"}, "must be less than the API's 30, got 30"),
    ],
)
def test_a_wrong_route_is_refused(tmp_path: Path, change: dict[str, str], mistake: str) -> None:
    with pytest.raises(ConfigurationError, match=mistake):
        route(tmp_path, **change)


QUEUE = """
description: Greets.
feature: photos
memory_mib: 128
timeout_seconds: 10
trigger:
  queue:
    batch_size: 1
    batch_window_seconds: 0
    maximum_concurrency: 2
    max_receive_count: 5
    sources: {sources}
grants: []
budgets: {{image_mib_over_base: 1, init_kib: 1, init_ms: 1}}
"""


def queue(folder: Path, sources: str) -> manifest.QueueTrigger:
    (folder / "function.yaml").write_text(QUEUE.format(sources=sources))
    found = manifest.load(folder).queue
    assert found is not None
    return found


def test_no_queue_has_a_schedule_unless_named(tmp_path: Path) -> None:
    assert queue(tmp_path, "[{topic: greetings}]").schedule is None


def test_a_schedule_stands_beside_other_sources(tmp_path: Path) -> None:
    found = queue(tmp_path, "[{topic: greetings}, {schedule: rate(1 minute)}]")
    assert found.schedule == "rate(1 minute)"
    assert [s.reference for s in found.sources] == [Reference(Resource.TOPIC, "greetings")]


@pytest.mark.parametrize(
    "expression",
    [
        "rate(1 minute)",
        "rate(1 hour)",
        "rate(15 minutes)",
        "rate(2 days)",
        "cron(0 12 * * ? *)",
        "cron(0/5 8-17 ? * MON-FRI *)",
        "cron(0 0 1 1,7 ? 2030-2035)",
        "cron(0 8 ? * 2#1 *)",
        "cron(0 8 L * ? *)",
    ],
)
def test_schedules_that_eventbridge_takes(tmp_path: Path, expression: str) -> None:
    assert queue(tmp_path, f"[{{schedule: '{expression}'}}]").schedule == expression


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "1 minute",
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(0 minutes)",
        "rate(05 minutes)",
        "rate(30 seconds)",
        "rate(1 minute) ",
        "cron(0 12 * * *)",
        "cron(0 12 * * * *)",
        "cron(0 12 ? * ? *)",
        "cron(0 12 * * ?)",
        "at(2026-11-24T12:00:00)",
    ],
)
def test_schedules_that_eventbridge_refuses(tmp_path: Path, expression: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        queue(tmp_path, f"[{{schedule: '{expression}'}}]")
    (mistake,) = caught.value.mistakes
    assert mistake.startswith("trigger.queue.sources[0] must have a schedule such as 'rate(1 min")
    assert mistake.endswith(f"got {expression!r}")


@pytest.mark.parametrize(
    ("sources", "mistake"),
    [
        (
            "[{schedule: rate(1 minute)}, {schedule: rate(1 hour)}]",
            "trigger.queue.sources may have one schedule, got 2",
        ),
        (
            "[{schedule: rate(1 minute), topic: greetings}]",
            "sources[0] must have a schedule alone, got {'schedule': 'rate(1 minute)', "
            "'topic': 'greetings'}",
        ),
        ("[{schedule: 5}]", "got 5"),
    ],
)
def test_a_wrong_schedule_is_refused(tmp_path: Path, sources: str, mistake: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        queue(tmp_path, sources)
    (found,) = caught.value.mistakes
    assert found.endswith(mistake)


def test_nothing_else_can_point_at_a_schedule(tmp_path: Path) -> None:
    text = QUEUE.format(sources="[{schedule: rate(1 minute)}]")
    changed = text.replace("grants: []", "grants: [{schedule: rate(1 minute), actions: [a:B]}]")
    assert changed != text
    (tmp_path / "function.yaml").write_text(changed)
    with pytest.raises(ConfigurationError, match="must name exactly one of"):
        manifest.load(tmp_path)


def test_features_are_closed_under_what_they_need() -> None:
    assert manifest.closed([Feature.ORDERS]) == frozenset(Feature)
    assert manifest.closed([Feature.CUSTOMERS]) == {Feature.PHOTOS, Feature.CUSTOMERS}
    assert manifest.closed([Feature.PHOTOS]) == {Feature.PHOTOS}


def test_features_are_parsed_from_a_list() -> None:
    expected = {Feature.PHOTOS, Feature.CUSTOMERS}
    assert manifest.parse_features("photos,customers") == expected
    assert manifest.parse_features(" customers  photos ") == expected


@pytest.mark.parametrize("text", ["", " ", "photo", "photos,prints"])
def test_list_without_or_with_unknown_features_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected photos, customers, orders, got "):
        manifest.parse_features(text)


def test_photos_need_no_database() -> None:
    photos = [m for m in manifest.load_all(ROOT / "images") if m.feature is Feature.PHOTOS]
    assert photos
    named = {grant.reference.resource for m in photos for grant in m.grants}
    assert named.isdisjoint({Resource.DATABASE, Resource.SECRET, Resource.WORKFLOW})
