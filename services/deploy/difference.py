"""What an apply of the checkout's Terraform would change, with the images that are applied.

A pull request shows it before images are built; each night it shows drift: what was changed in the
account, and not by Terraform.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from services.platform.errors import PermanentError

_NONE = (["no-op"], ["read"])
_KINDS = {
    ("create",): "create",
    ("update",): "update",
    ("delete",): "delete",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("forget",): "forget",
}
# A plan reads no image: this digest stands for one that is not built yet.
_NO_DIGEST = f"sha256:{'0' * 64}"


class Planned(Protocol):
    """The part of `terraform.Terraform` that a comparison uses."""

    def outputs(self) -> dict[str, Any]: ...

    def plan(self, **variables: Any) -> dict[str, Any] | None: ...


@dataclass(frozen=True)
class Difference:
    """Address to what would happen to it: create, update, delete, replace or forget. It has no
    values of attributes, so it can be shown in public."""

    changes: Mapping[str, str]

    @property
    def summary(self) -> str:
        """One line, such as `3 to create, 1 to delete`."""
        counts = Counter(self.changes.values())
        named = [f"{counts[kind]} to {kind}" for kind in dict.fromkeys(_KINDS.values())]
        return ", ".join(text for text in named if not text.startswith("0 ")) or "no changes"

    def markdown(self, environment: str) -> str:
        """A comment for a pull request."""
        lines = [f"**Terraform plan of {environment}:** {self.summary}"]
        if self.changes:
            lines += ["", "| | resource |", "|---|---|"]
            lines += [f"| {kind} | `{address}` |" for address, kind in self.changes.items()]
        return "\n".join(lines)


def compare(terraform: Planned, functions: Collection[str]) -> Difference:
    """Plans with the applied images; `functions` are those of the checkout.

    Raises PermanentError when the applied lab states no images: it was applied before outputs had
    them, or not at all.
    """
    applied = terraform.outputs().get("functions") or {}
    images = {name: one["image_uri"] for name, one in applied.items() if one.get("image_uri")}
    if not images:
        raise PermanentError(
            "expected the images of the functions in the outputs of the applied lab, found none: "
            "apply it once with this version of Terraform's configuration"
        )
    registry = next(iter(images.values())).rpartition("/")[0]
    missing = {name: f"{registry}/{name}@{_NO_DIGEST}" for name in functions if name not in images}
    plan = terraform.plan(image_digests={**missing, **images}) or {}
    return Difference(
        {
            item["address"]: _KINDS[tuple(item["change"]["actions"])]
            for item in plan.get("resource_changes", ())
            if item.get("mode") == "managed" and item["change"]["actions"] not in _NONE
        }
    )
