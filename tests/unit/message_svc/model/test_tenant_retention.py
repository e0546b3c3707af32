"""New conversations begin with the retention of their tenant."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from message_svc.config import Config
from message_svc.model.model import ModelLimits
from tests.unit.message_svc.shards import TENANT, Shard, items_of


@pytest.mark.parametrize(
    ("by_tenant", "expected"), [({}, 60), ({TENANT: 3_600}, 3_600), ({TENANT: 0}, 0), ({"other": 3_600}, 60)]
)
def test_a_new_conversation_has_the_retention_of_its_tenant(by_tenant: dict[str, int], expected: int) -> None:
    shard = Shard(ModelLimits(retention_seconds=60, retention_seconds_by_tenant=by_tenant))
    for conversation in (shard.group("alice", "bob"), shard.direct("alice", "bob")):
        assert items_of(shard.entries, conversation)
        assert shard.head(conversation).retention_seconds == expected


def test_a_variable_has_the_tenants_as_json() -> None:
    assert Config.model_validate({"retention_seconds_by_tenant": '{"acme": 5}'}).retention_seconds_by_tenant == {
        "acme": 5
    }
    assert Config.model_validate({"retention_seconds_by_tenant": " "}).retention_seconds_by_tenant == {}
    config = Config(retention_seconds_by_tenant={"acme": 5})
    assert Config.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize("value", ["{", "[5]", '{"a b": 5}', '{"acme": -1}', '{"acme": 999999999999}', '{"acme": "x"}'])
def test_other_values_are_refused(value: str) -> None:
    with pytest.raises(ValidationError):
        Config.model_validate({"retention_seconds_by_tenant": value})
