"""The files besides the code: hooks that run what `make check` runs, forms for issues, links that lead somewhere."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests.running import ROOT

FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
KINDS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}


def test_the_hooks_are_the_tools_of_make_check() -> None:
    [local] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert local["repo"] == "local"  # nothing is fetched
    done = subprocess.run(
        ["make", "-n", "-o", ".venv/dev", "check"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    checked = done.stdout.splitlines()
    entries = [hook["entry"] for hook in local["hooks"]]
    for entry in entries:
        assert any(line.startswith(entry) for line in checked), entry
    assert len(entries) == len([line for line in checked if line.startswith(".venv/bin/")])
    assert {hook["language"] for hook in local["hooks"]} == {"system"}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_has_all_required_parts(path: object) -> None:
    form = yaml.safe_load((ROOT / str(path)).read_text("utf-8"))
    if "body" not in form:
        assert set(form) <= {"blank_issues_enabled", "contact_links"}
        return
    assert {"name", "description", "body"} <= form.keys()
    ids = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(ids) == len(set(ids))
    for part in form["body"]:
        assert part["type"] in KINDS
        assert ("value" if part["type"] == "markdown" else "label") in part["attributes"]


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md", "CONTRIBUTING.md", "deploy/helm/plaudit/README.md"])
def test_links_to_files_have_a_target(name: str) -> None:
    page = ROOT / name
    links = re.findall(r"\]\(([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []
