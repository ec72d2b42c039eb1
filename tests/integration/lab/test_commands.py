"""The embedded lab and the command, as a person uses them."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from services.local import emulator
from services.local import lab as labs
from services.local.aws_session import LocalSession
from services.local.demo.contact_sheet import Sheet, write_html, write_png
from services.local.develop import Outcome
from services.local.mailbox import sent_mails
from services.local.options import LabOptions
from services.local.state import PROJECT, ChildState, LabFiles, LabState, LabStatus, alive
from services.local.terminal import shown_path
from services.platform.database import Database
from services.platform.errors import PermanentError, TransientError
from services.platform.manifest import Feature
from tests.support.waiting import HTTP_SECONDS, eventually, scaled

COMMAND = [sys.executable, "-m", "services.cli.main"]


def darkroom(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=scaled(timeout),
        check=False,
    )


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "inside").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for name, colour in (("a b+c.jpg", "red"), ("inside/é.png", "blue")):
        Image.new("RGB", (640, 480), colour).save(folder / name)
    (folder / ".hidden" / "x.jpg").write_text("never uploaded")
    return folder


@pytest.fixture(scope="module")
def shared_lab() -> Iterator[str]:
    """The lab at its default place, for the command; a lab that ran before is left alone."""
    ran_before = labs.running() is not None
    state = labs.up()
    yield state.endpoint
    if not ran_before:
        labs.down()


@pytest.mark.usefixtures("shared_lab")
class TestDevelop:
    def test_all_developed_is_exit_code_0_and_json_has_every_field(self, photos: Path) -> None:
        done = darkroom("develop", str(photos), "--json")
        assert done.returncode == 0, done.stderr
        answers = json.loads(done.stdout)
        assert [Path(a["path"]).name for a in answers] == ["a b+c.jpg", "é.png"]
        for answer in answers:
            assert set(answer) == {
                "path", "image_id", "status", "reason", "message", "width", "height", "format",
                "placeholder", "fingerprint", "dominant_colour", "taken_at", "camera",
                "renditions", "seconds", "files",
            }  # fmt: skip
            assert answer["status"] == "developed"
            assert (answer["width"], answer["height"]) == (640, 480)
            assert len(answer["fingerprint"]) == 16
            names = {(r["name"], r["format"]) for r in answer["renditions"]}
            assert names == {(n, f) for n in ("thumb", "medium", "large") for f in ("jpeg", "webp")}
        assert answers[0]["dominant_colour"].startswith("#f")

    def test_renditions_are_downloaded_as_they_are_told(self, photos: Path, tmp_path: Path) -> None:
        done = darkroom(
            "develop", str(photos / "a b+c.jpg"), "--json", "--out", str(tmp_path / "o")
        )
        (answer,) = json.loads(done.stdout)
        assert len(answer["files"]) == len(answer["renditions"])
        assert all(Path(file).is_file() for file in answer["files"])
        for rendition in answer["renditions"]:
            extension = {"jpeg": "jpg"}.get(rendition["format"], rendition["format"])
            path = tmp_path / "o" / answer["image_id"] / f"{rendition['name']}.{extension}"
            content = path.read_bytes()
            assert len(content) == rendition["bytes"]
            with Image.open(io.BytesIO(content)) as picture:
                assert picture.size == (rendition["width"], rendition["height"])

    def test_some_rejected_is_exit_code_3_with_a_reason(self, photos: Path) -> None:
        (photos / "notes.jpg").write_text("no photo")
        done = darkroom("develop", str(photos))
        assert done.returncode == 3
        assert "not-an-image" in done.stdout
        assert "notes.jpg" in done.stdout
        assert "Traceback" not in done.stdout + done.stderr

    def test_an_empty_file_and_the_same_photo_twice(self, photos: Path) -> None:
        (photos / "empty.jpg").touch()
        (photos / "copy.jpg").write_bytes((photos / "a b+c.jpg").read_bytes())
        done = darkroom("develop", str(photos), "--json")
        assert done.returncode == 3
        by_name = {Path(a["path"]).name: a for a in json.loads(done.stdout)}
        assert by_name["empty.jpg"]["reason"] == "empty"
        assert by_name["copy.jpg"]["image_id"] == by_name["a b+c.jpg"]["image_id"]

    def test_odd_names_are_names_too(self, tmp_path: Path) -> None:
        picture = io.BytesIO()
        Image.new("RGB", (64, 48), "green").save(picture, "JPEG")
        names = [b"[bold]a'b $x.jpg", b"not \xff text.jpg", b"line\nbreak.jpg", b"%2B+ %.jpg"]
        for name in names:
            (tmp_path / os.fsdecode(name)).write_bytes(picture.getvalue())
        done = darkroom("develop", str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("developed") == len(names)
        sheet = Sheet(
            tuple(Outcome(path, None, 0.0, "x") for path in tmp_path.iterdir()), (), tmp_path, ()
        )
        write_html(sheet, tmp_path / "index.html")
        write_png(sheet, tmp_path / "sheet.png")

    @pytest.mark.parametrize(
        "arguments",
        [("develop",), ("develop", "/nowhere"), ("nonsense",), ("up", "--port", "0")],
    )
    def test_wrong_usage_is_exit_code_2(self, arguments: tuple[str, ...]) -> None:
        done = darkroom(*arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr

    def test_a_folder_without_photos_is_wrong_usage(self, tmp_path: Path) -> None:
        done = darkroom("develop", str(tmp_path))
        assert done.returncode == 2
        assert "found no file" in done.stderr

    def test_status_json_has_processes_functions_and_queues(self) -> None:
        document = json.loads(darkroom("status", "--json").stdout)
        assert document["status"] == "ready"
        names = {process["name"] for process in document["processes"]}
        assert {"mailbox", "worker", "gateway", "postgres"} <= names
        assert {"process-image", "send-image-email", "create-order"} <= set(document["functions"])
        assert document["queues"]["process-image"]["dead_letters"] == 0
        assert document["problems"] == []

    def test_status_shows_where_postgres_runs_and_keeps_its_data(self) -> None:
        folders = json.loads(darkroom("status", "--json").stdout)["database"]
        assert (Path(folders["programs"]) / "postgres").is_file()
        assert (Path(folders["data"]) / "PG_VERSION").is_file()
        text = darkroom("status").stdout
        for name, folder in (("programs", folders["programs"]), ("data", folders["data"])):
            assert re.search(rf"^Postgres {name} +{re.escape(shown_path(folder))} *$", text, re.M)

    def test_status_in_a_pipe_cuts_nothing(self) -> None:
        assert "…" not in darkroom("status").stdout

    def test_logs_show_one_function_as_text_and_json(self, photos: Path) -> None:
        darkroom("develop", str(photos))
        text = darkroom("logs", "process-image").stdout
        assert "process-image" in text
        assert "send-image-email" not in text
        lines = darkroom("logs", "process-image", "--json").stdout.splitlines()
        events = [json.loads(line) for line in lines]
        assert any(event.get("function") == "process-image" for event in events)
        assert darkroom("logs", "--since", "soon").returncode == 2


def test_each_photo_is_one_mail_with_its_thumbnail(lab: LabState, photos: Path) -> None:
    from services.local import develop

    before = len(sent_mails(Path(lab.mail_folder)))
    (photos / "bad.jpg").write_text("no photo")
    outcomes = list(develop.develop_all(lab, develop.find_photos([photos])))
    assert len(outcomes) == 3
    eventually(lambda: len(sent_mails(Path(lab.mail_folder))) >= before + 3, "three e-mails")
    mails = {mail.subject: mail for mail in sent_mails(Path(lab.mail_folder))[before:]}
    assert set(mails) == {
        "Developed: a b+c.jpg",
        "Developed: é.png",
        "We could not develop bad.jpg",
    }
    assert mails["Developed: é.png"].thumbnail is not None
    assert mails["We could not develop bad.jpg"].thumbnail is None


def child(root: Path, name: str) -> ChildState:
    state = LabFiles(root).read()
    assert state is not None
    return next(child for child in state.children if child.name == name)


def emulator_pid(state: LabState) -> int:
    listed = subprocess.run(
        ["pgrep", "-P", str(state.pid), "-f", "emulator_process"],
        capture_output=True,
        text=True,
        check=True,
    )
    return int(listed.stdout.split()[0])


PHOTOS = LabOptions(features=(Feature.PHOTOS,))


class TestLabLifecycle:
    def test_up_twice_is_one_lab_and_down_leaves_nothing(self, tmp_path: Path) -> None:
        first = labs.up(tmp_path)
        assert labs.up(tmp_path).endpoint == first.endpoint
        pids = [child.pid for child in first.children] + [first.pid]
        assert all(map(alive, pids))
        assert labs.down(tmp_path)
        assert not any(map(alive, pids))
        assert not emulator.healthy(first.endpoint)
        assert not labs.down(tmp_path)
        state = LabFiles(tmp_path).read()
        assert state is not None
        assert state.status is LabStatus.STOPPED

    def test_up_photos_only_starts_neither_database_nor_api(self, tmp_path: Path) -> None:
        state = labs.up(tmp_path, PHOTOS)
        try:
            assert state.features == ("photos",)
            assert (state.api, state.database_url) == ("", "")
            names = {child.name for child in state.children}
            assert not names & {"gateway", "postgres", "payment-provider"}
            with pytest.raises(PermanentError, match="runs without customers, orders"):
                labs.up(tmp_path)
        finally:
            labs.down(tmp_path)

    def test_up_taken_port_is_an_error(self, tmp_path: Path, lab_port: int) -> None:
        with pytest.raises(PermanentError, match=f"port {lab_port} is taken"):
            labs.up(tmp_path, LabOptions(port=lab_port))

    def test_up_same_port_twice_is_an_error_at_once(self, tmp_path: Path) -> None:
        with pytest.raises(PermanentError, match="both 4711"):
            labs.up(tmp_path, LabOptions(port=4711, api_port=4711))

    def test_up_other_api_port_than_the_running_lab_is_an_error(self, lab: LabState) -> None:
        root = Path(lab.mail_folder).parent
        with pytest.raises(PermanentError, match="its API has port"):
            labs.up(root, LabOptions(api_port=1))

    def test_files_of_a_lab_are_private(self, lab: LabState) -> None:
        root = Path(lab.mail_folder).parent
        assert root.stat().st_mode & 0o077 == 0
        open_files = [
            path for path in root.rglob("*")
            if "postgres" not in path.parts and path.stat().st_mode & 0o077
        ]  # fmt: skip
        assert open_files == []

    def test_emulator_refuses_wrong_credentials_and_foreign_origins(self, lab: LabState) -> None:
        with pytest.raises(ClientError, match="InvalidClientTokenId"):
            LocalSession(lab.endpoint).client("sqs").list_queues()
        request = urllib.request.Request(
            f"{lab.endpoint}/_ministack/health", headers={"Origin": "https://evil.example"}
        )
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=scaled(HTTP_SECONDS))

    def test_killed_supervisor_leaves_no_process_and_no_lock(self, tmp_path: Path) -> None:
        state = labs.up(tmp_path, PHOTOS)
        os.kill(state.pid, signal.SIGKILL)
        pids = [child.pid for child in state.children]
        eventually(lambda: not any(map(alive, pids)), "all processes end")
        assert labs.running(tmp_path) is None
        labs.up(tmp_path, PHOTOS)
        assert labs.down(tmp_path)

    def test_ended_emulator_fails_a_lab_in_memory(self, tmp_path: Path) -> None:
        state = labs.up(tmp_path, PHOTOS)
        os.kill(emulator_pid(state), signal.SIGKILL)
        eventually(lambda: _status(tmp_path) is LabStatus.FAILED, "the lab fails")
        ended = LabFiles(tmp_path).read()
        assert ended is not None
        assert "the emulator ended" in ended.message

    def test_killed_gateway_is_restarted(self, lab: LabState) -> None:
        root = Path(lab.mail_folder).parent
        victim = child(root, "gateway")
        os.kill(victim.pid, signal.SIGKILL)
        eventually(lambda: child(root, "gateway").pid != victim.pid, "the gateway restarts")
        assert child(root, "gateway").restarts == victim.restarts + 1

    def test_killed_busy_postgres_is_restarted(self, lab: LabState) -> None:
        """A backend that survives the server keeps its shared memory: the first restarts fail."""
        root = Path(lab.mail_folder).parent
        busy = lab.database()
        worker = threading.Thread(target=_sleep_in, args=(busy,), daemon=True)
        worker.start()
        eventually(lambda: _sleeping(lab), "a query runs")
        victim = child(root, "postgres")
        os.kill(victim.pid, signal.SIGKILL)
        eventually(lambda: child(root, "postgres").pid != victim.pid, "Postgres restarts")
        eventually(lambda: _answers_query(lab), "Postgres answers", 120)
        assert labs.running(root) is not None
        worker.join(scaled(30))

    def test_state_that_cannot_be_written_does_not_end_the_lab(self, lab: LabState) -> None:
        """As with a full disk: writing fails, the lab goes on, and catches up later."""
        root = Path(lab.mail_folder).parent
        blocker = LabFiles(root).state.with_suffix(".draft")
        blocker.mkdir()
        victim = child(root, "gateway")
        os.kill(victim.pid, signal.SIGKILL)
        log = LabFiles(root).log("supervisor")
        eventually(
            lambda: "the state cannot be written" in log.read_text(), "the log names the fault"
        )
        assert alive(lab.pid)
        blocker.rmdir()
        eventually(lambda: child(root, "gateway").pid != victim.pid, "the gateway restarts")


class TestKeptLab:
    def test_data_survive_down_and_kills(self, tmp_path: Path) -> None:
        options = LabOptions(keep=True)
        state = labs.up(tmp_path, options)
        s3, key = state.session.client("s3"), "someone/upload/a.bin"
        s3.put_object(Bucket=state.buckets["renditions"], Key=key, Body=b"content")
        state.session.client("dynamodb").put_item(
            TableName=state.tables["idempotency"],
            Item={"key": {"S": "kept"}, "expires_at": {"N": "4102444800"}},
        )
        queue = state.session.client("sqs").create_queue(QueueName="kept")["QueueUrl"]
        state.session.client("sqs").send_message(QueueUrl=queue, MessageBody="kept")
        with state.database().transaction() as cursor:
            cursor.execute("CREATE TABLE kept AS SELECT 1 AS number")
        saved = LabFiles(tmp_path).cloud / "state" / "sqs.json"
        eventually(lambda: saved.exists() and b"kept" in saved.read_bytes(), "the state is saved")

        os.kill(emulator_pid(state), signal.SIGKILL)
        eventually(lambda: emulator.healthy(state.endpoint), "the emulator answers")
        self._check(state, key)
        os.kill(state.pid, signal.SIGKILL)
        eventually(lambda: labs.running(tmp_path) is None, "the lab ends")
        eventually(lambda: not any(alive(item.pid) for item in state.children), "its processes end")
        again = labs.up(tmp_path, options)
        self._check(again, key)
        assert labs.down(tmp_path)
        self._check(labs.up(tmp_path, options), key)
        assert labs.reset(tmp_path)
        assert not tmp_path.exists()

    def _check(self, state: LabState, key: str) -> None:
        s3 = state.session.client("s3")
        found = s3.get_object(Bucket=state.buckets["renditions"], Key=key)
        assert found["Body"].read() == b"content"
        item = state.session.client("dynamodb").get_item(
            TableName=state.tables["idempotency"], Key={"key": {"S": "kept"}}
        )
        assert "Item" in item
        sqs = state.session.client("sqs")
        url = sqs.get_queue_url(QueueName="kept")["QueueUrl"]
        names = ["ApproximateNumberOfMessages"]
        got = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        assert got == {"ApproximateNumberOfMessages": "1"}
        with state.database().transaction() as cursor:
            cursor.execute("SELECT number FROM kept")
            assert cursor.fetchone() == (1,)


# Starts a temporary lab, prints its process id, and waits.
_OCCASION = """
import sys, time
from pathlib import Path
from services.local import lab
from services.local.options import LabOptions
from services.platform.manifest import Feature
with lab.temporary_lab(Path(sys.argv[1]), LabOptions(features=(Feature.PHOTOS,))) as state:
    print(state.pid, flush=True)
    time.sleep(600)
"""


class TestTemporaryLab:
    @pytest.mark.parametrize(
        "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=str
    )
    @pytest.mark.parametrize("ready", [False, True], ids=["starting", "ready"])
    def test_signal_to_the_command_ends_its_lab(
        self, tmp_path: Path, number: signal.Signals, ready: bool
    ) -> None:
        command = subprocess.Popen(
            [sys.executable, "-c", _OCCASION, str(tmp_path)],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # A background job of a shell ignores SIGINT, and its children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert command.stdout is not None
        if ready:
            command.stdout.readline()
        else:
            eventually(lambda: LabFiles(tmp_path).read() is not None, "the lab starts")
        command.send_signal(number)
        command.wait(scaled(60))
        command.stdout.close()
        eventually(lambda: not _processes_of(tmp_path), "no process is left")


def _processes_of(root: Path) -> list[str]:
    listed = subprocess.run(["pgrep", "-f", str(root)], capture_output=True, text=True, check=False)
    return listed.stdout.split()


def _sleep_in(database: Database) -> None:
    with suppress(Exception), database.transaction() as cursor:
        cursor.execute("SELECT pg_sleep(8)")


def _sleeping(lab: LabState) -> bool:
    with lab.database().transaction() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")
        row = cursor.fetchone()
        return row is not None and bool(row[0])


def _answers_query(lab: LabState) -> bool:
    try:
        with lab.database().transaction() as cursor:
            cursor.execute("SELECT 1")
            return True
    except TransientError:
        return False


def _status(root: Path) -> LabStatus | None:
    state = LabFiles(root).read()
    return state.status if state is not None else None


@pytest.fixture
def lab_port(lab: LabState) -> int:
    return int(lab.endpoint.rpartition(":")[2])
