"""The OpenAPI document, generated from the contracts."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway.contracts.tables import read_tables
from gateway.reference.comments import Comments, read_failures
from gateway.reference.openapi import openapi
from kit.contracts import installed_contracts
from tests.unit.gateway.protos import compile_proto

HEAD = """
syntax = "proto3";
package probe.v1;
import "buf/validate/validate.proto";
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "plaudit/edge/v1/options.proto";
"""
PROBE = (
    HEAD
    + """
enum Mood { MOOD_UNSPECIFIED = 0; MOOD_GOOD = 1; MOOD_BAD = 2; }
message Part { string name = 1; map<string, int32> sizes = 2; Part inner = 3; }
message Ask {
  string name = 1 [(buf.validate.field).string.pattern = "^rooms/[a-z]{1,9}$"];
  string text = 2 [(buf.validate.field).string = {min_len: 1 max_len: 9}];
  repeated string tags = 3 [(buf.validate.field).repeated = {max_items: 3 items: {string: {max_len: 4}}}];
  int64 least = 4 [(buf.validate.field).int64.gte = 5];
  Mood mood = 5 [(buf.validate.field).enum = {defined_only: true not_in: [0]}];
  int32 size = 6 [json_name = "limit"];
  Part part = 7;
}
message Told {
  int64 version = 1;
  optional string note = 2;
  google.protobuf.Timestamp at = 3;
  Part part = 4;
  Mood mood = 5;
}
service Probe {
  rpc Try(Ask) returns (Told) {
    option (google.api.http) = {
      post: "/api/{name=rooms/*}:try" body: "*"
      additional_bindings: {get: "/api/{name=*/*}/try"}
    };
    option (plaudit.edge.v1.access) = ACCESS_PUBLIC;
  }
}
"""
)


@cache
def document() -> dict[str, Any]:
    return openapi(read_tables(), [installed_contracts()], "1")


@pytest.fixture(name="probe")
def fixture_probe(tmp_path: Path) -> dict[str, Any]:
    image = compile_proto(tmp_path, "probe.proto", PROBE)
    return openapi(read_tables(image), [image], "1")


def test_every_route_of_the_contracts_is_in_the_document() -> None:
    operations = [
        (verb.upper(), operation) for path in document()["paths"].values() for verb, operation in path.items()
    ]
    assert len(operations) == len(read_tables().routes)
    ids = [operation["operationId"] for _, operation in operations]
    assert len(set(ids)) == len(ids)


def test_paths_that_differ_only_in_the_names_of_their_parameters_are_not_allowed() -> None:
    bare = ["/".join("{}" if "{" in piece else piece for piece in path.split("/")) for path in document()["paths"]]
    assert len(set(bare)) == len(bare)


def test_all_references_exist() -> None:
    def references(value: Any) -> set[str]:
        if isinstance(value, dict):
            own = {value["$ref"]} if "$ref" in value else set()
            return own.union(*map(references, value.values()))
        return set().union(*map(references, value)) if isinstance(value, list) else set()

    there = {f"#/components/schemas/{name}" for name in document()["components"]["schemas"]}
    assert references(document()) <= there


def test_comments_are_the_descriptions() -> None:
    toggle = document()["paths"]["/api/{target_collection}/{target_id}/reactions/{emoji}"]["put"]
    assert toggle["summary"].startswith("Toggles the caller's reaction")
    assert "frame `toggle_reaction`" in toggle["description"]
    fields = document()["components"]["schemas"]["ToggleReactionResponse"]["properties"]
    assert fields["version"]["description"] == "The target's version after the change."


def test_reasons_are_under_the_status_of_their_code() -> None:
    answers = document()["paths"]["/api/v1/reactions"]["post"]["responses"]
    assert "`INVALID_EMOJI`" in answers["400"]["description"]
    assert "`TOO_MANY_EMOJI`" in answers["400"]["description"]
    assert "`OP_CONFLICT`" in answers["409"]["description"]
    assert "`RATE_LIMITED`" in answers["429"]["description"]
    assert "Retry-After" in answers["429"]["headers"]
    read = document()["paths"]["/api/v1/reactions/own"]["get"]["responses"]
    assert "`TOO_MANY_EMOJI`" not in read["400"]["description"]


def test_rules_are_constraints_and_nonempty_fields_are_required(probe: dict[str, Any]) -> None:
    body = probe["paths"]["/api/rooms/{name_id}:try"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    fields = body["properties"]
    assert "name" not in fields, "it is in the path"
    assert (fields["text"]["minLength"], fields["text"]["maxLength"]) == (1, 9)
    assert (fields["tags"]["maxItems"], fields["tags"]["items"]["maxLength"]) == (3, 4)
    assert fields["least"]["minimum"] == 5
    assert fields["mood"]["enum"] == ["MOOD_GOOD", "MOOD_BAD"]
    assert body["required"] == ["text", "least", "mood"]
    assert body["additionalProperties"] is False


def test_fields_outside_the_path_and_the_body_are_in_the_query(probe: dict[str, Any]) -> None:
    given = {one["name"]: one for one in probe["paths"]["/api/{name_collection}/{name_id}/try"]["get"]["parameters"]}
    assert {name for name, one in given.items() if one["in"] == "path"} == {"name_collection", "name_id"}
    assert given["name_id"]["schema"]["pattern"] == "^[a-z]{1,9}$"
    assert {name for name, one in given.items() if one["in"] == "query"} == {
        "text", "tags", "least", "mood", "limit", "part.name",
    }  # fmt: skip
    assert given["text"]["required"]
    assert given["least"]["schema"]["type"] == "integer"


def test_no_field_of_the_path_is_in_the_query() -> None:
    routes = document()["paths"]
    for path in (
        "/api/v1/reactions/{target_id}/reactors",
        "/api/{target_collection}/{target_id}/reactions/{emoji}/users",
    ):
        query = {one["name"] for one in routes[path]["get"]["parameters"] if one["in"] == "query"}
        assert {"limit", "cursor"} <= query
        in_path = {"target_id", "targetId"} if "target_collection" not in path else {"target", "emoji", "type"}
        assert not in_path & query


def test_an_answer_has_every_field_that_cannot_be_absent(probe: dict[str, Any]) -> None:
    told = probe["components"]["schemas"]["Told"]
    assert told["required"] == ["version", "mood"]
    assert told["properties"]["version"] == {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,20}$"}
    assert told["properties"]["at"] == {"type": "string", "format": "date-time"}
    assert told["properties"]["part"] == {"$ref": "#/components/schemas/Part"}
    asked = probe["paths"]["/api/rooms/{name_id}:try"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert asked["properties"]["part"] == {"$ref": "#/components/schemas/PartIn"}


def test_a_public_rpc_needs_no_token(probe: dict[str, Any]) -> None:
    operation = probe["paths"]["/api/rooms/{name_id}:try"]["post"]
    assert operation["security"] == []
    assert "401" not in operation["responses"]
    assert "security" not in document()["paths"]["/api/v1/reactions"]["post"]


def test_failures_are_read_from_a_sentence() -> None:
    text = "Fails with `NOT_FOUND`, and with `INVALID_ARGUMENT` (reason `ONE_THING`, or `TWO_THINGS`); else `OK`."
    assert [(one.code.name, one.reason) for one in read_failures(text)] == [
        ("NOT_FOUND", ""),
        ("INVALID_ARGUMENT", "ONE_THING"),
        ("INVALID_ARGUMENT", "TWO_THINGS"),
    ]


def test_comments_are_found_by_full_name() -> None:
    comments = Comments([installed_contracts()])
    assert comments.of("plaudit.type.v1.ReactionCount.count").startswith("People, never negative")
    assert comments.example("plaudit.type.v1.TargetCounts.target") == "messages/42"
    assert comments.summary("plaudit.counter.v1.CounterService.GetCounts").startswith("Gets the counts of")
    assert comments.of("plaudit.edge.v1.Access.ACCESS_NODE").startswith("A node")
    assert comments.of("nothing.such") == ""
