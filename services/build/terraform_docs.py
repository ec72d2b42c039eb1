"""Writes the inputs and outputs of each Terraform module into its README, in the form of
terraform-docs: `python -m services.build.terraform_docs`.

https://terraform-docs.io/reference/markdown-table/ - between its markers, so that the tool itself
may be used instead. A test compares the files with what this module writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from services.platform.errors import PermanentError

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "terraform" / "modules"
BEGIN, END = "<!-- BEGIN_TF_DOCS -->", "<!-- END_TF_DOCS -->"
_BLOCK = re.compile(r'^(variable|output) "([^"]+)" \{$', re.MULTILINE)
_ATTRIBUTE = re.compile(r"^  (\w+)\s*= ?(.*)$")
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class Block:
    """A variable or an output, with the source text of its attributes."""

    kind: str
    name: str
    attributes: dict[str, str]

    @property
    def description(self) -> str:
        """The description in one line, for a cell of a table."""
        text = self.attributes.get("description", "")
        heredoc = re.fullmatch(r"<<-?(\w+)\n(.*)\n\s*\1", text, re.DOTALL)
        text = heredoc[2] if heredoc else text.strip('"').replace('\\"', '"')
        return " ".join(text.split()).replace("<", "&lt;").replace("|", "\\|")


def blocks(module: Path) -> list[Block]:
    """The variables and outputs of a module, by name. Raises PermanentError for one without a
    description."""
    found = []
    for file in sorted(module.glob("*.tf")):
        text = file.read_text(encoding="utf-8")
        for match in _BLOCK.finditer(text):
            body = text[match.end() : text.index("\n}", match.end())]
            block = Block(match[1], match[2], dict(_attributes(body)))
            if not block.description:
                raise PermanentError(f"{file}: {block.kind} {block.name} has no description")
            found.append(block)
    return sorted(found, key=lambda block: block.name)


def _attributes(body: str) -> Iterator[tuple[str, str]]:
    """The attributes of a block, whose lines `terraform fmt` has indented by two spaces."""
    lines = iter(body.splitlines())
    for line in lines:
        matched = _ATTRIBUTE.match(line)
        if matched is None:
            continue
        name, value = matched[1], matched[2]
        if heredoc := re.match(r"<<-?(\w+)$", value):
            for more in lines:
                value += "\n" + more
                if more.strip() == heredoc[1]:
                    break
        else:
            while _depth(value) > 0:
                value += "\n" + next(lines)
        yield name, value


def _depth(text: str) -> int:
    """Brackets of the text that are still open, without those in strings and comments."""
    bare = re.sub(r'"(\\.|[^"\\])*"', '""', text)
    bare = re.sub(r"#.*", "", bare)
    return sum(bare.count(c) for c in _OPENING) - sum(bare.count(c) for c in _CLOSING)


def _cell(text: str) -> str:
    """Source text in a cell of a table."""
    plain = "\n".join(line.rstrip() for line in text.splitlines())
    if "\n" not in plain:
        return f"`{plain}`".replace("|", "\\|")
    escaped = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = escaped.replace("|", "&#124;").replace("\n", "<br/>").replace("  ", "&nbsp;&nbsp;")
    return f"<pre>{escaped}</pre>"


def tables(module: Path) -> str:
    """Requirements, inputs and outputs of a module, in Markdown."""
    versions = (module / "versions.tf").read_text(encoding="utf-8")
    terraform = re.search(r'required_version = "([^"]+)"', versions)
    provider = re.search(r'\bversion = "([^"]+)"', versions)
    found = blocks(module)
    lines = ["## Requirements", "", "| Name | Version |", "|------|---------|"]
    lines.append(f"| terraform | {terraform[1] if terraform else 'any'} |")
    if provider:
        lines.append(f"| aws | {provider[1]} |")
    lines += [
        "",
        "## Inputs",
        "",
        "| Name | Description | Type | Default | Required |",
        "|------|-------------|------|---------|:--------:|",
    ]
    for block in (b for b in found if b.kind == "variable"):
        default = block.attributes.get("default")
        shown = "n/a" if default is None else _cell(default)
        required = "yes" if default is None else "no"
        kind = _cell(block.attributes.get("type", "any"))
        lines.append(f"| {block.name} | {block.description} | {kind} | {shown} | {required} |")
    lines += ["", "## Outputs", "", "| Name | Description |", "|------|-------------|"]
    for block in (b for b in found if b.kind == "output"):
        lines.append(f"| {block.name} | {block.description} |")
    return "\n".join(lines)


def rendered(module: Path) -> str:
    """The module's README with today's tables. Raises PermanentError without the markers."""
    file = module / "README.md"
    text = file.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise PermanentError(f"{file} must contain {BEGIN} and {END}")
    head, tail = text.partition(BEGIN)[0], text.partition(END)[2]
    return f"{head}{BEGIN}\n{tables(module)}\n{END}{tail}"


def main() -> None:
    """Writes the README of every module."""
    for module in sorted(path for path in MODULES.iterdir() if path.is_dir()):
        (module / "README.md").write_text(rendered(module), encoding="utf-8")


if __name__ == "__main__":
    main()
