"""Runs a function over events at one memory size after the other, and measures.

The function runs in the environments of the worker, on an emulator of its own. Lambda gives the
initialization a whole CPU whatever the size; invocations get the size's share.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from services.load_test.photos import make_unique
from services.load_test.tuning.choice import Sample
from services.load_test.tuning.cpu_share import CpuShare
from services.local import emulator as emulators
from services.local import topology
from services.local.aws_session import LocalSession
from services.local.demo.samples.photos import sample_photos
from services.local.develop import find_photos
from services.local.provision import Lab, provision
from services.local.state import PROJECT
from services.platform.errors import PermanentError
from services.platform.manifest import Feature, Manifest, Reference, Resource, load_all
from services.platform.metrics import peak_mib
from services.runtime.execution import Environment, Outcome
from services.runtime.function import Function

DEVELOPER = "process-image"
OWNER = "tune"
INIT_SECONDS = 60

# Makes the next event.
Events = Callable[[], bytes]


def measure(
    manifest: Manifest,
    sizes: Sequence[int],
    events_file: Path | None,
    photos: Path | None,
    *,
    cold: int,
    warm: int,
    progress: Callable[[int], None],
) -> tuple[Sample, ...]:
    """The measurements of each size: `cold` new environments, and `warm` further invocations.

    Events are those of `events_file`, one JSON object a line, in turn; for process-image an upload
    of a photo of `photos`, or of the sample photos. Raises PermanentError for a function that needs
    a database, or has no events.
    """
    if any(
        isinstance(value, Reference) and value.resource is Resource.DATABASE
        for value in manifest.environment.values()
    ):
        raise PermanentError(f"{manifest.name} needs a database, which tune does not start")
    if events_file is None and manifest.name != DEVELOPER:
        raise PermanentError(f"expected events for {manifest.name}: --events FILE")
    with tempfile.TemporaryDirectory(prefix="darkroom-tune-") as folder:
        log = Path(folder) / "functions.log"
        with emulators.running(Path(folder) / "emulator.log") as cloud, _output_to(log):
            session = LocalSession(cloud.endpoint)
            lab = _provisioned(session, manifest)
            found = find_photos([photos]) if photos is not None else _good(sample_photos())
            variables = {
                **emulators.aws_environment(cloud.endpoint),
                **lab.environment(manifest),
            }
            samples = []
            for size in sizes:
                progress(size)
                # The same events for each size.
                events = (
                    _uploads(session, lab, found) if events_file is None else _recorded(events_file)
                )
                samples.append(_sample(_function(manifest, size, variables), events, cold, warm))
            return tuple(samples)


def _provisioned(session: LocalSession, manifest: Manifest) -> Lab:
    needed = {Feature.PHOTOS, manifest.feature}
    manifests = tuple(m for m in load_all(PROJECT / "images") if m.feature in needed)
    wanted = topology.load(PROJECT / "terraform" / "lab" / "topology.yaml")
    return provision(session, topology.restricted(wanted, manifests), manifests)


def _function(manifest: Manifest, size: int, variables: dict[str, str]) -> Function:
    return Function(
        name=manifest.name,
        folder=manifest.folder,
        memory_mib=size,
        # At a tenth of a CPU an invocation takes ten times as long.
        timeout_seconds=max(manifest.timeout_seconds, 300),
        arn=f"arn:aws:lambda:{emulators.REGION}:000000000000:function:{manifest.name}",
        init_seconds=INIT_SECONDS,
        variables=variables,
    )


def _sample(function: Function, events: Events, cold: int, warm: int) -> Sample:
    inits: list[float] = []
    firsts: list[float] = []
    others: list[float] = []
    peak, failures = 0.0, 0
    for number in range(cold):
        environment = Environment(function)
        share = CpuShare(function.memory_mib)
        try:
            environment.start()
            share.add(environment.pid)
            last = number == cold - 1
            for turn in range(1 + (warm if last else 0)):
                if not environment.ready():
                    failures += 1
                    break
                done = environment.invoke(events())
                failures += done.outcome is not Outcome.SUCCESS or b'"itemIdentifier"' in (
                    done.payload
                )
                # Of an environment that has ended, what its worker saw.
                peak = max(peak, done.peak_mib, peak_mib(str(environment.pid)))
                if turn == 0:
                    inits.append(done.init_ms)
                    firsts.append(done.duration_ms)
                else:
                    others.append(done.duration_ms)
        finally:
            environment.close()
            share.close()
    return Sample(
        function.memory_mib,
        tuple(inits),
        tuple(firsts),
        tuple(others or firsts),
        peak,
        failures,
    )


def _good(photos: Sequence[Path]) -> tuple[Path, ...]:
    """Of the sample photos those of phones and cameras: JPEG and HEIC."""
    return tuple(photo for photo in photos if photo.suffix in (".jpg", ".heic"))


def _recorded(file: Path) -> Events:
    """The events of a file, in turn."""
    events = [line.encode() for line in file.read_text(encoding="utf-8").splitlines() if line]
    try:
        well = bool(events) and all(isinstance(json.loads(event), dict) for event in events)
    except ValueError:
        well = False
    if not well:
        raise PermanentError(f"expected events in {file}, one JSON object a line")
    turn = iter(range(sys.maxsize))
    return lambda: events[next(turn) % len(events)]


def _uploads(session: LocalSession, lab: Lab, photos: Sequence[Path]) -> Events:
    """An event for a new upload of the next photo; each has content of its own."""
    s3, bucket = session.client("s3"), lab.bucket("originals")
    turn = iter(range(sys.maxsize))

    def next_event() -> bytes:
        number = next(turn)
        photo = photos[number % len(photos)]
        key = f"{OWNER}/{uuid.uuid4().hex}/{photo.name}"
        content = make_unique(photo.read_bytes(), key)
        tag = s3.put_object(Bucket=bucket, Key=key, Body=content)["ETag"].strip('"')
        return json.dumps({"Records": [_record(_notification(bucket, key, tag, number))]}).encode()

    return next_event


def _notification(bucket: str, key: str, tag: str, number: int) -> dict[str, Any]:
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:Put",
                "eventTime": "2026-01-01T00:00:00.000Z",
                "s3": {
                    "bucket": {"name": bucket},
                    "object": {"key": key, "eTag": tag, "sequencer": f"{number:016X}"},
                },
            }
        ]
    }


def _record(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": "none",
        "body": json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{emulators.REGION}:000000000000:{DEVELOPER}",
        "awsRegion": emulators.REGION,
    }


@contextmanager
def _output_to(file: Path) -> Iterator[None]:
    """Sends this process's standard output to `file`: the functions' logs go there."""
    sys.stdout.flush()
    output = sys.stdout.fileno()
    before = os.dup(output)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.dup2(descriptor, output)
        yield
    finally:
        os.dup2(before, output)
        os.close(before)
        os.close(descriptor)
