"""The requests of the write-up on likes and reactions, as it writes them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.flows.clients import new_user
from tests.running import Stack


class Api:
    """REST as one user calls it."""

    def __init__(self, stack: Stack, http: aiohttp.ClientSession, user: str) -> None:
        self._url = stack.http_url
        self._http = http
        self.user = user
        self._headers = {"Authorization": f"Bearer {stack.token(user)}"}

    async def ask(self, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self._http.request(verb, self._url + path, json=body, headers=self._headers) as answer:
            return answer.status, await answer.json()


@pytest.fixture(name="alice")
async def fixture_alice(shared_stack: Stack) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as http:
        yield Api(shared_stack, http, new_user("alice"))


def breakdown(counts: Any) -> dict[str, int]:
    return {one["emoji"]: int(one["count"]) for one in counts["reactions"]}


async def test_a_reaction_is_toggled_by_target_id_and_type_and_a_retry_changes_nothing(alice: Api) -> None:
    target_id = uuid.uuid4().hex
    body = {"target_id": target_id, "target_type": "post", "reaction_type": "like", "op_id": uuid.uuid4().hex}
    first = await alice.ask("POST", "/api/v1/reactions", body)
    assert (first[0], first[1]["on"], breakdown(first[1])) == (200, True, {"👍": 1})
    assert await alice.ask("POST", "/api/v1/reactions", body) == first
    # A different one switches, the same one takes back.
    body |= {"reaction_type": "love", "op_id": ""}
    assert breakdown((await alice.ask("POST", "/api/v1/reactions", body))[1]) == {"❤": 1}
    status, answer = await alice.ask("POST", "/api/v1/reactions", body)
    assert (status, answer["on"], breakdown(answer)) == (200, False, {})


@pytest.mark.parametrize(
    ("target_type", "collection"),
    [("post", "posts"), ("comment", "comments"), ("message", "messages"), ("posts", "posts"), ("", "posts")],
)
async def test_each_type_of_target_is_a_collection(alice: Api, target_type: str, collection: str) -> None:
    target_id = uuid.uuid4().hex
    body = {"target_id": target_id, "target_type": target_type, "reaction_type": "wow"}
    assert (await alice.ask("POST", "/api/v1/reactions", body))[0] == 200
    own = await alice.ask("GET", f"/api/v1/reactions/own?targets={collection}/{target_id}")
    assert own[1]["own_reactions"][0]["emojis"] == ["😮"]


async def test_a_reaction_is_removed_by_target_id(alice: Api) -> None:
    target_id = uuid.uuid4().hex
    for target_type in ("post", "comment"):
        body = {"target_id": target_id, "target_type": target_type, "reaction_type": "sad"}
        await alice.ask("POST", "/api/v1/reactions", body)
    status, answer = await alice.ask("DELETE", f"/api/v1/reactions?target_id={target_id}")
    assert (status, breakdown(answer)) == (200, {})
    status, answer = await alice.ask("GET", f"/api/v1/reactions/{target_id}/reactors?target_type=comment")
    assert [reactor["user"] for reactor in answer["reactors"]] == [alice.user]
    await alice.ask("DELETE", f"/api/v1/reactions?target_id={target_id}&target_type=comment")
    status, answer = await alice.ask("GET", f"/api/v1/reactions/{target_id}/reactors?target_type=comment")
    assert (status, answer["reactors"]) == (200, [])


async def test_counts_of_several_posts_are_read_by_their_ids(alice: Api) -> None:
    ids = [uuid.uuid4().hex for _ in range(3)]
    versions = []
    for target_id, reaction_type in zip(ids[:2], ("like", "angry"), strict=True):
        body = {"target_id": target_id, "target_type": "post", "reaction_type": reaction_type}
        versions.append((await alice.ask("POST", "/api/v1/reactions", body))[1]["version"])
    least = "".join(f"&min_versions={version}" for version in (*versions, 0))
    for query in (f"target_ids={','.join(ids)}", "&".join(f"target_ids={target_id}" for target_id in ids)):
        status, answer = await alice.ask("GET", f"/api/v1/reactions/counts?{query}{least}")
        assert status == 200
        assert [(one["target"], breakdown(one)) for one in answer["counts"]] == [
            (f"posts/{ids[0]}", {"👍": 1}),
            (f"posts/{ids[1]}", {"😡": 1}),
            (f"posts/{ids[2]}", {}),
        ]


async def test_reactors_with_a_type_are_listed_page_by_page(alice: Api, shared_stack: Stack) -> None:
    target_id = uuid.uuid4().hex
    async with aiohttp.ClientSession() as http:
        bob = Api(shared_stack, http, new_user("bob"))
        for one, reaction_type in ((alice, "love"), (bob, "love")):
            body = {"target_id": target_id, "target_type": "post", "reaction_type": reaction_type}
            await one.ask("POST", "/api/v1/reactions", body)
    path = f"/api/v1/reactions/{target_id}/reactors"
    status, first = await alice.ask("GET", f"{path}?type=love&cursor=&limit=1")
    assert (status, [one["user"] for one in first["reactors"]]) == (200, [bob.user])
    _, second = await alice.ask("GET", f"{path}?type=love&cursor={first['next_page_token']}&limit=20")
    assert ([one["user"] for one in second["reactors"]], second["next_page_token"]) == ([alice.user], "")
    assert (await alice.ask("GET", f"{path}?type=haha&limit=20"))[1]["reactors"] == []


@pytest.mark.parametrize(
    ("verb", "path", "body", "reason", "field"),
    [
        ("POST", "/api/v1/reactions", {"reaction_type": "like"}, "INVALID_REQUEST", "target"),
        ("POST", "/api/v1/reactions", {"target_id": "1", "target_type": "page", "reaction_type": "like"},
         "INVALID_TARGET", "target_type"),
        ("POST", "/api/v1/reactions", {"target_id": "1", "reaction_type": "nonsense"},
         "INVALID_EMOJI", "reaction_type"),
        ("POST", "/api/v1/reactions", {"target_id": "1"}, "INVALID_REQUEST", "emoji"),
        ("POST", "/api/v1/reactions", {"target_id": "1", "target": "posts/1", "emoji": "like"},
         "INVALID_REQUEST", "target"),
        ("POST", "/api/v1/reactions", {"target_id": "a/b", "reaction_type": "like"}, "INVALID_REQUEST", "target_id"),
        ("DELETE", "/api/v1/reactions", None, "INVALID_REQUEST", "target"),
        ("DELETE", "/api/v1/reactions?target_id=..", None, "INVALID_TARGET", "target_id"),
        ("GET", "/api/v1/reactions/counts", None, "INVALID_REQUEST", "targets"),
        ("GET", "/api/v1/reactions/counts?target_ids=1,,2", None, "INVALID_TARGET", "target_ids"),
    ],
)  # fmt: skip
async def test_a_request_without_a_target_or_reaction_is_refused(
    alice: Api, verb: str, path: str, body: Any, reason: str, field: str
) -> None:
    status, answer = await alice.ask(verb, path, body)
    assert status == 400
    details = {detail["@type"].rpartition(".")[2]: detail for detail in answer["details"]}
    assert details["ErrorInfo"]["reason"] == reason
    assert details["BadRequest"]["field_violations"][0]["field"] == field
