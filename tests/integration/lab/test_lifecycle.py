"""A lab as a whole: start, end, faults, and data that survive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from PIL import Image

from services.cli.main import main
from services.local import develop, emulator
from services.local import lab as labs
from services.local.aws_session import LocalSession
from services.local.options import LabOptions
from services.local.state import PROJECT, ChildState, LabFiles, LabState, LabStatus, alive
from services.platform.database import Database
from services.platform.errors import PermanentError, TransientError
from services.platform.manifest import Feature
from tests.support.terminal import start_as_a_person_does
from tests.support.waiting import HTTP_SECONDS, eventually, scaled

pytestmark = pytest.mark.slow


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


def _runs_an_emulator(state: LabState) -> bool:
    listed = subprocess.run(
        ["pgrep", "-P", str(state.pid), "-f", "emulator_process"],
        capture_output=True,
        text=True,
        check=False,
    )
    return bool(listed.stdout)


PHOTOS = LabOptions(features=(Feature.PHOTOS,))


def up_by_command(root: Path, *options: str) -> LabState:
    """The lab that `darkroom up` starts, in `root` in place of its usual folder."""
    start = labs.up
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labs, "up", lambda options: start(root, options))
        assert main(["up", *options]) == 0
    state = labs.running(root)
    assert state is not None
    return state


def answer(url: str) -> int:
    """The status code that a request without credentials gets."""
    try:
        with urllib.request.urlopen(url, timeout=HTTP_SECONDS) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


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

    def test_up_only_photos_starts_neither_database_nor_api(self, tmp_path: Path) -> None:
        state = up_by_command(tmp_path, "--only", "photos")
        try:
            assert state.features == ("photos",)
            assert (state.api, state.database_url) == ("", "")
            names = {child.name for child in state.children}
            assert not names & {"gateway", "postgres", "payment-provider"}
            with pytest.raises(PermanentError, match="runs without customers, orders"):
                labs.up(tmp_path)
        finally:
            labs.down(tmp_path)

    def test_up_only_customers_starts_photos_and_the_api_without_orders(
        self, tmp_path: Path
    ) -> None:
        state = up_by_command(tmp_path, "--only", "customers")
        try:
            assert state.features == ("customers",)
            names = {child.name for child in state.children}
            assert "gateway" in names
            assert "payment-provider" not in names
            assert (answer(f"{state.api}/images"), answer(f"{state.api}/orders")) == (401, 404)
        finally:
            labs.down(tmp_path)

    def test_up_cloud_uses_the_emulator_that_runs_already(
        self, tmp_path: Path, cloud: emulator.Emulator
    ) -> None:
        options = LabOptions(features=(Feature.PHOTOS,), cloud=cloud.endpoint)
        state = labs.up(tmp_path, options)
        try:
            assert state.endpoint == cloud.endpoint
            assert not _runs_an_emulator(state)
            photo = tmp_path / "photo.jpg"
            Image.new("RGB", (64, 48), "red").save(photo)
            (outcome,) = develop.develop_all(state, [photo])
            assert outcome.developed
        finally:
            labs.down(tmp_path)
        assert emulator.healthy(cloud.endpoint)

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

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks environments")
    def test_killed_template_is_restarted_and_forks_again(self, lab: LabState) -> None:
        root = Path(lab.mail_folder).parent
        route = f"{lab.api}/sessions/current"
        eventually(lambda: _api_answers(route), "the API answers, if another test restarted it")
        victim = child(root, "template")
        assert _children(victim.pid)
        os.kill(victim.pid, signal.SIGKILL)
        eventually(lambda: child(root, "template").pid != victim.pid, "the template restarts")
        assert answer(route) == 401
        eventually(lambda: _children(child(root, "template").pid), "an environment is forked")

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


def _api_answers(url: str) -> bool:
    try:
        return answer(url) == 401
    except urllib.error.URLError:
        return False


def _children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


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
            preexec_fn=start_as_a_person_does,
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
