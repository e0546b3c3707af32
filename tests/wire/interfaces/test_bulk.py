"""A thousand targets with the longest ids, requested over every interface of a gateway."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from gateway.config import Config
from gateway.limits import SocketLimits
from plaudit.gateway.v1 import frames_pb2
from plaudit.gateway.v1 import session_frames_pb2 as session_pb
from plaudit.reaction.v1 import reaction_service_pb2 as pb
from tests.wire.gatewayrig import PROTO, running

TARGETS = [f"comments/{number:064}" for number in range(1000)]
ESCAPED = "&targets=".join(target.replace("/", "%2F") for target in TARGETS)
PATH = "/api/v1/reactions/own"


async def test_a_thousand_targets_fit_into_a_request_of_every_interface(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {rig.token()}"}
        answers = []
        for query in (f"targets={','.join(TARGETS)}", f"targets={ESCAPED}"):
            url = URL(f"{rig.http}{PATH}?{query}", encoded=True)
            async with session.get(url, headers=headers) as response:
                answers.append((response.status, len((await response.json())["own_reactions"])))
        async with session.post(rig.http + PATH, json={"targets": TARGETS}, headers=headers) as response:
            answers.append((response.status, len((await response.json())["own_reactions"])))
        # The servicer of this test does not split texts at commas, ours does.
        assert answers == [(200, 1), (200, 1000), (200, 1000)]
        async with rig.socket(max_size=1 << 22) as client:
            answer = await client.ask({"type": "get_own_reactions", "id": 2, "targets": TARGETS})
            assert len(answer["own_reactions"]) == 1000
        async with rig.socket(subprotocol=PROTO, max_size=1 << 22) as client:
            request = pb.BatchGetOwnReactionsRequest(targets=TARGETS)
            call = frames_pb2.CallFrame(type="get_own_reactions", request=request.SerializeToString())
            answer = await client.ask(frames_pb2.ClientFrame(id=2, call=call))
            found = pb.BatchGetOwnReactionsResponse.FromString(answer.ack.response)
            assert len(found.own_reactions) == 1000


async def test_more_targets_than_allowed_are_refused_by_name(tmp_path: Path) -> None:
    async with running(tmp_path) as rig, aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bearer {rig.token()}"}
        for count in (1001, 1500):
            query = "&".join(f"targets=posts/{number}" for number in range(count))
            async with session.get(f"{rig.http}{PATH}?{query}", headers=headers) as response:
                assert response.status == 400
                assert "1000" in (await response.json())["message"]


async def test_an_answer_larger_than_the_reply_buffer_reaches_a_client_that_reads(tmp_path: Path) -> None:
    # Neither the kernel's buffer nor that for answers holds it.
    config = Config(reply_buffer=1, socket=SocketLimits(send_buffer=4096))
    async with running(tmp_path, config=config) as rig, rig.socket(max_size=1 << 22) as client:
        answer = await client.ask({"type": "get_own_reactions", "id": 2, "targets": TARGETS})
        assert len(answer["own_reactions"]) == 1000
        assert len(json.dumps(answer)) > 100_000


@pytest.mark.parametrize("subprotocol", ["plaudit.v1.json", PROTO])
async def test_a_session_with_the_most_topics_is_resumed(tmp_path: Path, subprotocol: str) -> None:
    topics = [{"topic": target, "version": 1} for target in TARGETS[:128]]
    async with running(tmp_path) as rig, rig.socket(subprotocol=subprotocol, hello=False) as client:
        if client.is_json:
            answer = await client.ask({"type": "resume", "id": 1, "topics": topics, "resume_token": "x" * 512})
            assert (answer["type"], answer["verdict"]) == ("resumed", "reset")
        else:
            resume = session_pb.Resume(resume_token="x" * 512)
            for topic in topics:
                resume.topics.add(**topic)
            answer = await client.ask(frames_pb2.ClientFrame(id=1, resume=resume))
            assert answer.resumed.verdict == "reset"
