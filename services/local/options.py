"""How a lab is to run: the supervisor's one argument."""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass

from services.imaging.recipes import STANDARD
from services.platform.manifest import Feature


@dataclass(frozen=True)
class LabOptions:
    """How a lab is to run.

    `port` and `api_port` are free ones unless given. Every function gets `concurrency` execution
    environments at most, in each of `workers` worker processes. `keep`: the data survive the lab's
    end. `cloud` is the endpoint of an emulator that runs already and is used instead of one of its
    own. `recipe` is that of uploads that choose none. `traces`: functions record traces, which the
    lab keeps. `administrator_second_factor`: administrators need one. `lifeline` is a file
    descriptor: the lab ends when its other end is closed.
    """

    port: int | None = None
    api_port: int | None = None
    workers: int = 1
    concurrency: int = 1
    features: tuple[Feature, ...] = tuple(Feature)
    keep: bool = False
    cloud: str | None = None
    sites: tuple[str, ...] = ()
    recipe: str = STANDARD
    lifeline: int | None = None
    traces: bool = False
    administrator_second_factor: bool = False

    def encode(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def decode(text: str) -> LabOptions:
        document = json.loads(text)
        features = tuple(Feature(name) for name in document.pop("features"))
        sites = tuple(document.pop("sites"))
        return LabOptions(features=features, sites=sites, **document)


def default_concurrency() -> int:
    """Execution environments a function: developing is CPU work, so one a core."""
    return max(1, os.cpu_count() or 1)
