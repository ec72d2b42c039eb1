"""The READMEs of the Terraform modules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from services.build.terraform_docs import MODULES, blocks, rendered, tables
from services.platform.errors import PermanentError

MODULE_FOLDERS = sorted(path for path in MODULES.iterdir() if path.is_dir())
VERSIONS = 'terraform {\n  required_version = ">= 1.11"\n}\n'
VARIABLES = """
variable "sizes" {
  description = "Sizes \\"by\\" name | or none."
  type = map(object({
    width = number # not } an end
    names = optional(list(string), ["}"])
  }))
  default = {}

  validation {
    condition     = length(var.sizes) > 0
    error_message = "sizes"
  }
}

variable "note" {
  description = <<-EOT
    Two
    lines.
  EOT
  type        = string
}
"""


@pytest.mark.parametrize("module", MODULE_FOLDERS, ids=lambda path: path.name)
def test_readme_of_module_is_current(module: Path) -> None:
    assert (module / "README.md").read_text(encoding="utf-8") == rendered(module), (
        "run `make terraform-docs`"
    )


@pytest.mark.parametrize("module", MODULE_FOLDERS, ids=lambda path: path.name)
def test_module_has_an_example_that_uses_it_alone(module: Path) -> None:
    text = (module / "examples" / "basic" / "main.tf").read_text(encoding="utf-8")
    assert 'source = "../.."' in text


def test_tables_show_types_defaults_and_what_is_required(tmp_path: Path) -> None:
    (tmp_path / "variables.tf").write_text(VARIABLES)
    (tmp_path / "versions.tf").write_text(VERSIONS)
    (tmp_path / "outputs.tf").write_text('output "x" {\n  description = "An x."\n  value = 1\n}\n')
    text = tables(tmp_path)
    assert "| terraform | >= 1.11 |" in text
    assert "| note | Two lines. | `string` | n/a | yes |" in text
    assert '| sizes | Sizes "by" name \\| or none. | <pre>map(object({<br/>' in text
    assert '["}"])<br/>&nbsp;&nbsp;}))</pre> | `{}` | no |' in text
    assert "| x | An x. |" in text


def test_variable_without_description_is_refused(tmp_path: Path) -> None:
    (tmp_path / "variables.tf").write_text('variable "x" {\n  type = string\n}\n')
    with pytest.raises(PermanentError, match="variable x has no description"):
        blocks(tmp_path)


def test_modules_and_roots_allow_the_same_versions() -> None:
    folders = [*MODULE_FOLDERS, *(MODULES.parent / name for name in ("lab", "registry"))]
    found = {
        (re.findall(r'^\s+version\s*= "([^"]+)"', text, re.MULTILINE)[0], required[0])
        for text in ((folder / "versions.tf").read_text(encoding="utf-8") for folder in folders)
        if (required := re.findall(r'required_version = "([^"]+)"', text))
    }
    assert found == {(">= 5.100, < 7", ">= 1.11")}


def test_no_module_reads_the_region_by_its_name_which_provider_6_deprecates() -> None:
    for file in MODULES.parent.rglob("*.tf"):
        assert not re.search(r"data\.aws_region\.\w+\.name\b", file.read_text(encoding="utf-8")), (
            file
        )
