"""What the edge reads from the contracts."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.contracts.path_template import parse_template
from gateway.contracts.tables import BY_USER, ContractError, read_tables
from tests.unit.gateway.protos import compile_proto

HEAD = """
syntax = "proto3";
package probe.v1;
import "google/api/annotations.proto";
import "plaudit/edge/v1/options.proto";
message Ask { string target = 1; int32 size = 2; Inner inner = 3; }
message Inner { string name = 1; }
message Bad { string topic = 1; }
message Told { string text = 1; }
"""
USER = "option (plaudit.edge.v1.access) = ACCESS_USER;"


def service(*lines: str, request: str = "Ask", response: str = "Told") -> str:
    return HEAD + f"service Probe {{ rpc Try({request}) returns ({response}) {{ {' '.join(lines)} }} }}"


def test_the_contracts_of_the_system_make_the_frames_the_routes_and_the_pushes() -> None:
    tables = read_tables()
    toggle = tables.frames["toggle_reaction"]
    assert toggle.method == "/plaudit.reaction.v1.ReactionService/ToggleReaction"
    assert (toggle.route_by, toggle.public) == ("target", False)
    assert tables.frames["get_own_reactions"].route_by == BY_USER
    assert {"reaction_update", "own_reaction_update"} <= tables.pushes.keys()
    served = {(route.verb, route.template.text) for route in tables.routes}
    assert ("PUT", "/api/{target=*/*}/reactions/{emoji}") in served
    assert ("PUT", "/api/v1/{target=*/*}/reactions/{emoji}") in served
    assert ("POST", "/api/v1/reactions") in served


def test_an_rpc_that_is_for_services_is_not_in_the_tables() -> None:
    methods = {route.rpc.method for route in read_tables().routes} | {
        rpc.method for rpc in read_tables().frames.values()
    }
    assert not any("Tally" in method or "Rebuild" in method for method in methods)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        (service('option (plaudit.edge.v1.frame) = {type: "ask"};'), "access"),
        (service(USER, 'option (plaudit.edge.v1.frame) = {type: "ask" route_by: "nothing"};'), "route_by"),
        (service(USER, 'option (plaudit.edge.v1.frame) = {type: "ask" route_by: "size"};'), "route_by"),
        (service(USER, 'option (plaudit.edge.v1.frame) = {type: "ping"};'), "taken"),
        (service(USER, 'option (plaudit.edge.v1.frame) = {type: "ask"};', request="Bad"), "topic"),
        (service(USER, 'option (plaudit.edge.v1.frame) = {type: "ask"};', response="Bad"), "topic"),
        (service(USER, 'option (plaudit.edge.v1.frame) = {type: "ask"};', request="stream Ask"), "streams"),
        (service(USER, 'option (google.api.http) = {get: "/x/{nothing}"};'), "nothing"),
        (service(USER, 'option (google.api.http) = {get: "/x/{target"};'), "template"),
        (service(USER, 'option (google.api.http) = {post: "/x" body: "size"};'), "body"),
        (service(USER, 'option (google.api.http) = {get: "/x" response_body: "text"};'), "response_body"),
    ],
)
def test_an_annotation_that_cannot_be_served_stops_the_start(tmp_path: Path, source: str, complaint: str) -> None:
    with pytest.raises(ContractError, match=complaint):
        read_tables(compile_proto(tmp_path, "probe.proto", source))


@pytest.mark.parametrize(
    ("template", "path", "variables"),
    [
        ("/api/{target=messages/*}/reactions", "/api/messages/42/reactions", {"target": "messages/42"}),
        ("/api/{target=messages/*}/reactions", "/api/posts/42/reactions", None),
        ("/api/{target=messages/*}/reactions", "/api/messages/4/2/reactions", None),
        ("/v1/{a}/x/{b}", "/v1/%F0%9F%91%8D/x/a%2Fb", {"a": "👍", "b": "a/b"}),
        ("/v1/reactions:set", "/v1/reactions:set", {}),
        ("/v1/reactions:set", "/v1/reactions", None),
        ("/v1/{name=files/**}", "/v1/files/a/b/c", {"name": "files/a/b/c"}),
        ("/v1/{name=files/*}:copy", "/v1/files/a:copy", {"name": "files/a"}),
        ("/v1/{a.b=x/*}", "/v1/x/1", {"a.b": "x/1"}),
        ("/v1/a.b", "/v1/aXb", None),
        ("/v1/{a}", "/v1/", None),
    ],
)
def test_path_templates_match_their_paths(template: str, path: str, variables: dict[str, str] | None) -> None:
    assert parse_template(template).match(path) == variables


def test_the_more_specific_template_is_matched_first() -> None:
    texts = ["/a/{x=**}", "/a/{x}/c", "/a/b/c", "/a/{x}/{y}", "/a/{x}/c:verb"]
    ranked = sorted(texts, key=lambda text: parse_template(text).rank)
    assert ranked == ["/a/b/c", "/a/{x}/c:verb", "/a/{x}/c", "/a/{x}/{y}", "/a/{x=**}"]
