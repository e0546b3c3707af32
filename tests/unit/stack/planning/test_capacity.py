"""Capacity on paper: sums that come out, inputs that are what was measured, a page that says the same."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys

import pytest

from stack.planning.capacity import BadInput, Inputs, Line, as_json, as_table, inputs_as_table, plan_capacity
from tests.running import ROOT

PAGE = ROOT / "docs" / "capacity.md"


def amounts(inputs: Inputs) -> dict[tuple[str, str], float]:
    """Each result by its part and name."""
    return {(line.part, line.what): line.amount for line in plan_capacity(inputs)}


def measured() -> list[dataclasses.Field[float]]:
    """The inputs that were measured."""
    return [one for one in dataclasses.fields(Inputs) if one.metadata["source"].startswith("measured")]


def test_the_load_is_computed_from_the_inputs() -> None:
    found = amounts(Inputs(reactions_per_day=864_000, reaction_peak=3, messages_per_second=7, connections=300))
    assert found["load", "reactions, mean"] == 10
    assert found["load", "reactions, peak"] == 30
    assert found["load", "frames in"] == 7 + 30 + 10
    assert found["load", "pushes out"] == 7 * 5 + 300 * 0.5


def test_a_gateway_is_bound_by_its_connections_or_by_its_core() -> None:
    quiet = Inputs(connections=1_000_000, messages_per_second=1, reactions_per_day=1, updates_per_connection=0.001)
    assert amounts(quiet)["processes", "gateway"] == 20
    busy = dataclasses.replace(quiet, connections=50_000, messages_per_second=1_000_000, recipients=0.001)
    # (1,000,000 + 1,667 pings) ÷ 33,700, of which half is free: one process a core.
    assert amounts(busy)["processes", "gateway"] == 60


def test_memory_of_a_gateway_is_that_of_its_connections() -> None:
    alone = Inputs(connections=51_200, messages_per_second=1, reactions_per_day=1, updates_per_connection=0.001)
    found = amounts(dataclasses.replace(alone, connections_per_gateway=51_200))
    assert found["processes", "gateway"] == 1
    assert found["processes", "memory of a gateway"] == 51_200 * 10 / 1024 + 200


@pytest.mark.parametrize(
    ("part", "what"), [("Cassandra", "nodes"), ("Kafka", "brokers"), ("processes", "reaction_svc")]
)
def test_twice_the_load_requires_about_twice_the_nodes(part: str, what: str) -> None:
    once = Inputs()
    twice = Inputs(connections=4_000_000, messages_per_second=200_000, reactions_per_day=10_000_000_000)
    assert amounts(twice)[part, what] == pytest.approx(2 * amounts(once)[part, what], abs=2)


def test_low_load_still_requires_as_many_nodes_as_replicas() -> None:
    found = amounts(Inputs(connections=10, messages_per_second=0.1, reactions_per_day=100))
    assert found["Cassandra", "nodes"] == 3
    assert found["Kafka", "brokers"] == 3
    assert found["processes", "reaction_svc"] == 2
    assert found["Redis", "primaries"] == 1


@pytest.mark.parametrize("shards", [4, 16])
def test_no_service_of_a_ledger_has_more_processes_than_shards(shards: int) -> None:
    for day in (1e6, 1e9, 5e9, 2e10):
        found = amounts(Inputs(reactions_per_day=day, shards=shards))
        most = max(found["processes", name] for name in ("reaction_svc", "counter_svc", "fanout_svc"))
        ledgers = found["processes", "ledgers"]
        assert (ledgers - 1) * shards < most <= ledgers * shards
        assert found["Kafka", "partitions"] == ledgers * shards


def test_a_ledger_is_not_a_separate_process() -> None:
    found = amounts(Inputs(cores=1))
    names = ("gateway", "reaction_svc", "counter_svc", "fanout_svc", "message_svc", "session_registry")
    assert found["processes", "machines"] == sum(found["processes", name] for name in names)


def test_the_load_of_one_redis_fits_one_redis() -> None:
    most = amounts(Inputs())["Redis", "what one primary carries"]
    assert amounts(Inputs(reactions_per_day=most, hot_target_bytes=1))["Redis", "primaries"] == 1
    assert amounts(Inputs(reactions_per_day=most * 1.01, hot_target_bytes=1))["Redis", "primaries"] == 2


def test_inputs_are_changed_by_name() -> None:
    assert Inputs().with_changes({"headroom": "0.3", "connections": "1e6"}).connections == 1_000_000
    assert Inputs().with_changes({}) == Inputs()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("conections", "5", "there is no input 'conections'"),
        ("connections", "many", "connections: 'many' is not a number"),
        ("connections", "0", "connections: 0 is out of range"),
        ("connections", "nan", "out of range"),
        ("connections", "inf", "out of range"),
        ("headroom", "1", "headroom: 1 is out of range"),
    ],
)
def test_a_bad_input_is_named(name: str, value: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Inputs().with_changes({name: value})


@pytest.mark.parametrize("one", measured(), ids=lambda one: one.name)
def test_a_measured_input_of_the_plan_is_that_of_the_benchmarks(one: dataclasses.Field[float]) -> None:
    line, which, words = re.fullmatch(r"measured, (P\d+) (ours|reference)(?:, (.+))?", one.metadata["source"]).groups()  # type: ignore[union-attr]
    table = (ROOT / "docs" / "benchmarks.md").read_text("utf-8").partition("## Measured")[2]
    rows = [[cell.strip() for cell in row.split("|")] for row in table.splitlines() if row.startswith(f"| {line} |")]
    cells = next(row for row in rows if (words or "") in row[2])
    figure = cells[3 if which == "ours" else 4].replace(",", "").removesuffix(" k")
    thousand = 1000 if " k" in cells[3 if which == "ours" else 4] else 1
    assert float(figure) * thousand == one.default


def test_json_has_inputs_and_results() -> None:
    shown = json.loads(json.dumps(as_json(Inputs(), plan_capacity())))
    assert shown["inputs"]["connections"] == 2_000_000
    assert {"part", "what", "amount", "unit", "how"} == set(shown["lines"][0])


def test_a_table_has_a_row_for_each_line() -> None:
    table = as_table([Line("load", "x", 1234567.2, "/s", "1 × 2")])
    assert table.splitlines()[-1] == "| load | x | 1,234,567 /s | 1 × 2 |"


def test_the_page_has_the_output_of_the_command() -> None:
    text = PAGE.read_text("utf-8")
    assert as_table(plan_capacity()) in text, "docs/capacity.md: put the output of `plaudit plan` there anew"
    assert inputs_as_table(Inputs()) in text, "docs/capacity.md: put the output of `plaudit plan --inputs` there anew"


def plaudit_plan(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command."""
    command = [sys.executable, "-m", "stack.cli", "plan", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_shows_table_inputs_and_json() -> None:
    assert plaudit_plan().stdout == as_table(plan_capacity()) + "\n"
    assert plaudit_plan("--inputs").stdout == inputs_as_table(Inputs()) + "\n"
    changed = json.loads(plaudit_plan("--json", "--set", "connections=1e6", "--set", "headroom=0.4").stdout)
    assert changed == as_json(
        Inputs(connections=1e6, headroom=0.4), plan_capacity(Inputs(connections=1e6, headroom=0.4))
    )


def test_the_command_names_an_invalid_input_in_one_line() -> None:
    done = plaudit_plan("--set", "headroom")
    assert done.returncode == 1
    assert done.stderr == "plaudit: headroom: '' is not a number\n"
