"""Envoy's configuration: Envoy itself takes every one of them, and what it says follows from the contracts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from hypothesis import given
from hypothesis import strategies as st

from kit.auth.keys import Keys, open_keys
from kit.contracts import installed_contracts
from kit.rpc.tls import Tls
from plaudit.edge.v1 import options_pb2
from stack import certs
from stack.envoy.contracts import read_methods
from stack.envoy.listeners import none_of
from stack.envoy.model import Certificate, Limits, Model, key_set
from stack.envoy.render import BadEnvoy, config, render, validate, write

REACTION = "plaudit.reaction.v1.ReactionService"
COUNTER = "plaudit.counter.v1.CounterService"
SERVICES = {REACTION: ("127.0.0.1:7001", "127.0.0.1:7002"), COUNTER: ("127.0.0.1:7003",)}
Make = Callable[..., Model]


@pytest.fixture(name="keys", scope="module")
def fixture_keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return open_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(name="folder", scope="module")
def fixture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs")
    certs.make(folder)
    return folder


@pytest.fixture(name="make")
def fixture_make(keys: Keys) -> Make:
    """A plain edge, with what the test says otherwise."""

    def make(**more: Any) -> Model:
        return Model(**{"gateways": ("127.0.0.1:8081",), "services": SERVICES, "keys": keys.trusted, **more})

    return make


def tls_of(folder: Path) -> dict[str, Any]:
    return {
        "https": "127.0.0.1:8443",
        "certificate": Certificate(folder / "edge.pem", folder / "edge.key"),
        "tls": Tls(folder / "ca.pem", folder / "service.pem", folder / "service.key"),
    }


MODELS: dict[str, dict[str, Any]] = {
    "plain": {"http": "127.0.0.1:8080"},
    "admin and log": {"http": "127.0.0.1:8080", "admin": "127.0.0.1:9901", "access_log": True},
    "IPv6": {"http": "[::1]:8080", "gateways": ("[::1]:8081",)},
    "names": {"http": "0.0.0.0:8080", "gateways": ("gateway:8080",), "services": {REACTION: ("reaction-svc:50051",)}},
    "many nodes": {
        "http": "127.0.0.1:8080",
        "services": {REACTION: tuple(f"10.0.{number // 256}.{number % 256}:50051" for number in range(500))},
    },
    "nobody home": {"http": "127.0.0.1:8080", "services": {REACTION: ()}},
    "no services": {"http": "127.0.0.1:8080", "services": {}},
    "REST by gateways": {"http": "127.0.0.1:8080", "rest": "gateways"},
    "other sites": {"http": "127.0.0.1:8080", "origins": ("https://chat.example.com",)},
    "internal alone": {"internal": "127.0.0.1:9000", "gateways": (), "keys": {}},
    "other limits": {"http": "127.0.0.1:8080", "limits": Limits(request_bytes=1, idle_seconds=0.5, retry_percent=0)},
}


@pytest.mark.parametrize("name", MODELS)
def test_envoy_accepts_the_configuration(make: Make, tmp_path: Path, name: str) -> None:
    write(make(**MODELS[name]), tmp_path / "envoy.yaml")
    validate(tmp_path / "envoy.yaml")


@pytest.mark.parametrize("name", ["edge", "edge and internal", "addresses in files"])
def test_envoy_accepts_the_configuration_with_tls(make: Make, folder: Path, tmp_path: Path, name: str) -> None:
    more: dict[str, Any] = {} if name == "edge" else {"internal": "127.0.0.1:9000", "http": "127.0.0.1:8080"}
    if name == "addresses in files":
        more["endpoints"] = tmp_path / "endpoints"
    write(make(**tls_of(folder), **more), tmp_path / "envoy.yaml")
    validate(tmp_path / "envoy.yaml")


def test_refusals_of_envoy_are_reported(tmp_path: Path) -> None:
    (tmp_path / "envoy.yaml").write_text("static_resources: {listeners: [{nonsense: 1}]}")
    with pytest.raises(BadEnvoy, match="nonsense"):
        validate(tmp_path / "envoy.yaml")


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, "listens somewhere"),
        ({"https": "127.0.0.1:8443"}, "needs a certificate"),
        ({"http": "127.0.0.1:8080", "keys": {}}, "the keys of tokens"),
        ({"http": "127.0.0.1:8080", "gateways": ()}, "needs gateways"),
        ({"http": "127.0.0.1:8080", "admin": "0.0.0.0:9901"}, "loopback"),
        ({"http": "127.0.0.1"}, "is not host:port"),
        ({"http": "127.0.0.1:8080", "gateways": ("gateway:99999",)}, "is not host:port"),
    ],
)
def test_an_invalid_envoy_configuration_is_refused(make: Make, more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make(**more)


def test_the_same_model_renders_the_same_file(make: Make) -> None:
    assert render(make(http="127.0.0.1:8080")) == render(make(http="127.0.0.1:8080"))
    # Without the contracts in it, which make it long.
    short = make(http="127.0.0.1:8080", rest="gateways")
    assert yaml.safe_load(render(short)) == config(short)


def routes_of(model: Model, listener: str) -> list[dict[str, Any]]:
    for one in config(model)["static_resources"]["listeners"]:
        if one["name"] == listener:
            manager = one["filter_chains"][0]["filters"][0]["typed_config"]
            found: list[dict[str, Any]] = manager["route_config"]["virtual_hosts"][0]["routes"]
            return found
    raise AssertionError(f"no listener {listener}")


def test_only_rpcs_of_clients_are_at_the_edge(make: Make) -> None:
    shown = {route["match"].get("path") for route in routes_of(make(http="127.0.0.1:8080"), "http")}
    for method in read_methods():
        expected = method.service in SERVICES and method.access in (
            options_pb2.ACCESS_USER,
            options_pb2.ACCESS_PUBLIC,
            options_pb2.ACCESS_SCOPE,
        )
        assert (method.path in shown) == expected


def test_every_call_through_the_edge_requires_a_token_unless_its_contract_makes_it_public(make: Make) -> None:
    model = make(http="127.0.0.1:8080")
    guarded = [route for route in routes_of(model, "http") if route.get("route", {}).get("cluster") in SERVICES]
    assert guarded
    public = {method.path for method in read_methods() if method.public}
    for route in guarded:
        filters = route.get("typed_per_filter_config", {})
        assert ("envoy.filters.http.jwt_authn" in filters) == (route["match"].get("path") not in public)


def test_only_repeatable_rpcs_are_retried(make: Make) -> None:
    by_path = {method.path: method for method in read_methods()}
    seen = set()
    for route in routes_of(make(http="127.0.0.1:8080"), "http"):
        method = by_path.get(route["match"].get("path", ""))
        if method is not None:
            assert ("retry_policy" in route["route"]) == (method.retried and not method.streams)
            seen.add(method.retried)
    assert seen == {True, False}
    toggles = [method for method in by_path.values() if method.name == "ToggleReaction"]
    assert [method.retried for method in toggles] == [False]


def test_envoy_retries_a_rest_route_as_the_method_allows(make: Make) -> None:
    found = {
        (route["match"]["safe_regex"]["regex"], route["match"]["headers"][0]["string_match"]["exact"]): route["route"]
        for route in routes_of(make(http="127.0.0.1:8080"), "http")
        if "safe_regex" in route["match"]
    }
    assert "retry_policy" in found[r"/api/[^/?]+/[^/?]+/reactions", "GET"]
    assert "retry_policy" not in found[r"/api/[^/?]+/[^/?]+/reactions/[^/?]+", "PUT"]


@pytest.mark.parametrize(
    ("verb", "path", "key"),
    [
        ("PUT", "/api/messages/42/reactions/%F0%9F%91%8D", "messages/42"),
        ("GET", "/api/messages/42/reactions", "messages/42"),
        ("GET", "/api/v1/posts/7/reactors?limit=3&cursor=a/b", "posts/7"),
        ("DELETE", "/api/v1/posts/reactions/reactions", "posts/reactions"),
        ("POST", "/api/v1/reactions", None),
        ("GET", "/api/v1/reactions/counts?targets=messages/1", None),
    ],
)
def test_rest_is_routed_by_the_target_in_its_path(make: Make, verb: str, path: str, key: str | None) -> None:
    """As Envoy does it: the first route whose expression matches the path, and then the group of its key."""
    for route in routes_of(make(http="127.0.0.1:8080"), "http"):
        match = route["match"]
        if "safe_regex" not in match or match["headers"][0]["string_match"]["exact"] != verb:
            continue
        if re.fullmatch(match["safe_regex"]["regex"], path.partition("?")[0]):
            last = route["route"]["hash_policy"][-1]["header"]
            if key is None:
                assert last == {"header_name": "plaudit-subject"}
            else:
                assert re.sub(last["regex_rewrite"]["pattern"]["regex"], r"\1", path) == key
            return
    raise AssertionError("no route")


def test_a_new_method_gets_its_routes_without_a_change_in_code(make: Make) -> None:
    contracts = FileDescriptorSet()
    contracts.CopyFrom(installed_contracts())
    (service,) = (one for file in contracts.file for one in file.service if one.name == "CounterService")
    (old,) = (method for method in service.method if method.name == "GetReactionCounts")
    new = service.method.add()
    new.CopyFrom(old)
    new.name = "GetReactionTrends"
    found = {method.path: method for method in read_methods(contracts)}
    assert found[f"/{COUNTER}/GetReactionTrends"].bindings == found[f"/{COUNTER}/GetReactionCounts"].bindings


def test_a_service_of_the_internal_listener_is_named_in_a_header(make: Make) -> None:
    routes = routes_of(make(internal="127.0.0.1:9000"), "internal")
    streams = [one for one in routes if one["match"].get("path") == "/plaudit.edge.v1.CallService/Exchange"]
    assert {one["match"]["headers"][0]["string_match"]["exact"]: one["route"]["cluster"] for one in streams} == {
        service: service for service in SERVICES
    }


def test_the_key_set_conforms_to_rfc_8037(keys: Keys) -> None:
    (key,) = yaml.safe_load(key_set(keys.trusted))["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["kid"]) == ("OKP", "Ed25519", "EdDSA", keys.key_id)
    assert "d" not in key  # the private part


WORDS = st.lists(st.text("abc-", min_size=1, max_size=4), min_size=1, max_size=3, unique=True)


@given(WORDS, st.text("abcd-", max_size=6))
def test_the_complement_of_texts_matches_all_others(words: list[str], text: str) -> None:
    assert bool(re.fullmatch(none_of(words), text)) == (text not in words)


def test_rest_is_transcoded_only_where_the_transcoder_answers_as_the_gateways_do() -> None:
    transcoded = {method.service: method.is_transcoded for method in read_methods() if method.bindings}
    assert {REACTION: True, COUNTER: True}.items() <= transcoded.items()
    # 202 for a message, and numbers as JSON numbers.
    assert not transcoded["plaudit.message.v1.MessageService"]
    assert not transcoded["plaudit.message.v1.ConversationService"]


def test_no_transcoded_route_has_a_path_that_belongs_to_the_gateways() -> None:
    bindings = [(method, binding) for method in read_methods() for binding in method.bindings]
    transcoded = [binding for method, binding in bindings if method.is_transcoded]
    for method, binding in bindings:
        # A path of the binding: `x` for each variable.
        path = re.sub(r"\(?\[\^/\?\]\+\)?", "x", binding.path).replace("\\", "")
        assert re.fullmatch(binding.path, path)
        if not method.is_transcoded:
            matching = [one for one in transcoded if one.verb == binding.verb and re.fullmatch(one.path, path)]
            assert not matching, path
