"""Every table and every service says what becomes of personal data in it, so that a new one is thought of."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions, ServiceOptions

from kit.contracts import generated_pool, installed_contracts
from plaudit.edge.v1 import options_pb2
from tests.personal_data import CONTENTS, ERASED, EVIDENCE, KINDS, ROOT, rules_in, table_rules

_NAME = re.compile(r"`(\w+)`")
_CONTRACTS = installed_contracts()
POOL: Any = generated_pool(file.name for file in _CONTRACTS.file)
SERVICES: list[ServiceDescriptor] = [
    POOL.FindServiceByName(f"{file.package}.{service.name}") for file in _CONTRACTS.file for service in file.service
]
ERASES = (options_pb2.PERSONAL_DATA_ERASES, options_pb2.PERSONAL_DATA_ERASES_ON_EVERY_NODE)


def kind_of(method: MethodDescriptor) -> int:
    options: MethodOptions = method.GetOptions()
    return options.Extensions[options_pb2.personal_data]


def test_every_table_says_what_becomes_of_personal_data_in_it() -> None:
    rules = table_rules()
    assert len(rules) > 20
    assert [rule.table for rule in rules if rule.kind not in KINDS] == []


def test_what_is_erased_is_exported_as_a_message_of_the_contracts() -> None:
    names = {message.name for file in _CONTRACTS.file for message in file.message_type}
    wrong = [
        rule
        for rule in table_rules()
        if (rule.kind != EVIDENCE and bool(rule.types) != (rule.kind in (ERASED, CONTENTS))) or rule.types - names
    ]
    assert wrong == []


def test_a_table_without_a_comment_is_found() -> None:
    (rule,) = rules_in("-- Secrets of users.\nCREATE TABLE IF NOT EXISTS secret (\n")
    assert (rule.table, rule.kind) == ("secret", "")


def test_the_page_on_erasure_names_every_table() -> None:
    page = (ROOT / "docs/erasure.md").read_text("utf-8")
    section = page.partition("## Which tables have personal data")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in _NAME.findall(row)} == {rule.table for rule in table_rules()}


def test_every_service_says_what_erases_and_exports_what_it_keeps() -> None:
    assert len(SERVICES) > 10
    for service in SERVICES:
        options: ServiceOptions = service.GetOptions()
        rule = options.Extensions[options_pb2.personal_data_rule]
        assert bool(rule.none) != bool(rule.erased_by), service.full_name
        if rule.erased_by:
            assert kind_of(POOL.FindMethodByName(rule.erased_by)) in ERASES, service.full_name
            assert kind_of(POOL.FindMethodByName(rule.exported_by)) == options_pb2.PERSONAL_DATA_EXPORTS


def test_rpcs_for_personal_data_can_all_be_called_in_the_same_way() -> None:
    methods = [method for service in SERVICES for method in service.methods if kind_of(method)]
    assert len(methods) >= 8
    for method in methods:
        is_export = kind_of(method) == options_pb2.PERSONAL_DATA_EXPORTS
        asked = {"tenant", "user", *(["page_token"] if is_export else [])}
        answered = {"records", "next_page_token"} if is_export else {"erased", "done"}
        assert set(method.input_type.fields_by_name) == asked, method.full_name
        assert set(method.output_type.fields_by_name) == answered, method.full_name
