"""Reactors in pages, counted records, counts in answers, and other tenants."""

from __future__ import annotations

from pathlib import Path

from plaudit.reaction.v1 import reaction_service_pb2 as pb
from plaudit.reaction.v1 import reaction_tally_pb2 as tally_pb
from tests.wire.reactions.reaction_rig import FREE, Rig, counts_of, fixture_rig, refused, rig

__all__ = ["fixture_rig"]


async def test_reactors_are_listed_in_pages_bound_to_the_caller_and_the_query(rig: Rig) -> None:
    for i in range(5):
        await rig.toggle("👍" if i % 2 else "❤", user=f"u{i}")
    first = await rig.stub.ListReactors(pb.ListReactorsRequest(target="messages/42", page_size=3), metadata=rig.user())
    assert [(row.user, row.emoji) for row in first.reactors] == [("u4", "❤"), ("u3", "👍"), ("u2", "❤")]
    assert first.reactors[0].create_time.ToSeconds() == int(rig.clock.now())
    token = first.next_page_token
    rest = await rig.stub.ListReactors(
        pb.ListReactorsRequest(target="messages/42", page_size=3, page_token=token), metadata=rig.user()
    )
    assert [row.user for row in rest.reactors] == ["u1", "u0"]
    assert rest.next_page_token == ""
    likes = await rig.stub.ListReactors(
        pb.ListReactorsRequest(target="messages/42", emoji="like", page_size=0), metadata=rig.user()
    )
    assert [row.user for row in likes.reactors] == ["u3", "u1"]
    for request, who in [
        (pb.ListReactorsRequest(target="messages/42", page_token=token), "bob"),
        (pb.ListReactorsRequest(target="messages/43", page_token=token), "alice"),
        (pb.ListReactorsRequest(target="messages/42", emoji="like", page_token=token), "alice"),
        (pb.ListReactorsRequest(target="messages/42", page_token=token[:-1]), "alice"),
        (pb.ListReactorsRequest(target="messages/42", page_token="🙂"), "alice"),
    ]:
        error = await refused(rig.stub.ListReactors(request, metadata=rig.user(who)))
        assert (error.code.name, error.reason) == ("INVALID_ARGUMENT", "INVALID_CURSOR")
    rig.clock.advance(3_601)
    stale = pb.ListReactorsRequest(target="messages/42", page_token=token)
    assert (await refused(rig.stub.ListReactors(stale, metadata=rig.user()))).reason == "INVALID_CURSOR"


async def test_records_are_counted_for_services_in_their_tenants_only(rig: Rig) -> None:
    for i in range(4):
        await rig.toggle(target=f"messages/{i}")
    some = await rig.stub.TallyReactions(
        tally_pb.TallyReactionsRequest(targets=["messages/0", "messages/9", "messages/0"]), metadata=rig.service()
    )
    assert [(row.tenant, row.counts.target, counts_of(row.counts.reactions)) for row in some.tallies] == [
        ("default", "messages/0", [("👍", 1)]),
        ("default", "messages/9", []),
        ("default", "messages/0", [("👍", 1)]),
    ]
    found, token = [], ""
    while True:
        page = await rig.stub.TallyReactions(
            tally_pb.TallyReactionsRequest(page_size=3, page_token=token), metadata=rig.service()
        )
        found += [row.counts.target for row in page.tallies]
        token = page.next_page_token
        if not token:
            break
    assert sorted(found) == [f"messages/{i}" for i in range(4)]
    for request, metadata in [
        (tally_pb.TallyReactionsRequest(), rig.user()),
        (tally_pb.TallyReactionsRequest(), rig.service("act-as")),
        (tally_pb.TallyReactionsRequest(tenant="acme", targets=["messages/0"]), rig.service("act-as")),
    ]:
        assert (await refused(rig.stub.TallyReactions(request, metadata=metadata))).code.name == "PERMISSION_DENIED"


async def test_answers_have_counts_also_where_no_counter_runs(tmp_path: Path) -> None:
    async with rig(tmp_path, FREE, counting=False) as alone:
        await alone.toggle()
        assert counts_of((await alone.toggle(user="bob")).reactions) == [("👍", 2)]


async def test_another_tenant_reads_no_data(rig: Rig) -> None:
    await rig.toggle()
    listed = await rig.stub.ListReactors(
        pb.ListReactorsRequest(target="messages/42"), metadata=rig.user("alice", tenant="acme")
    )
    assert list(listed.reactors) == []
