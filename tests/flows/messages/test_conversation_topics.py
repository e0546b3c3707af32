"""What comes on the topics of conversations and of their messages, and to whom."""

from __future__ import annotations

from tests.flows.clients import counts, new_user
from tests.flows.messages.groups import Group, fixture_group, pushed, until

__all__ = ["fixture_group"]


async def test_only_members_subscribe_to_a_conversation_and_its_messages(group: Group) -> None:
    for user, is_granted in ((group.member, True), (group.former, False), (group.stranger, False)):
        socket = await group.socket(user)
        other = f"messages/{new_user('other')}"
        for topic, reason in ((group.topic, "CONVERSATION_NOT_FOUND"), (group.target, "MESSAGE_NOT_FOUND")):
            answer = await socket.ask("subscribe", topics=[other, topic])
            expected = ("subscribed", "", "") if is_granted else ("error", reason, "topics[1]")
            assert (answer["type"], answer.get("reason", ""), answer.get("field", "")) == expected
        # All or none: the other topic counts as not subscribed.
        assert (await socket.ask("unsubscribe", topics=[other]))["topics"] == ([other] if is_granted else [])
    for topic in ("conversations/42", "conversations/conv_" + "0" * 26):
        answer = await (await group.socket(group.member)).ask("subscribe", topics=[topic])
        assert answer["reason"] == "CONVERSATION_NOT_FOUND"


async def test_a_removed_member_gets_no_push_after_a_second_and_reads_earlier_messages(group: Group) -> None:
    member, admin = await group.socket(group.member), await group.socket(group.admin)
    topics = [group.topic, group.target]
    for socket in (member, admin):
        assert (await socket.ask("subscribe", topics=topics))["type"] == "subscribed"
    await admin.ask("set_reaction", target=group.target, emoji="👍", on=True)
    await until(lambda: any(frame.get("target") == group.target for frame in member.pushes))
    await group.remove(group.member)
    await until(lambda: bool(member.notices), 1.0)
    ended = member.notices.pop()
    assert (ended["type"], ended["code"], ended["reason"]) == (
        "subscription_ended",
        "NOT_FOUND",
        "CONVERSATION_NOT_FOUND",
    )
    assert sorted(ended["topics"]) == sorted(topics)
    member.pushes.clear()
    latest = await group.send("without bob")
    for target in (group.target, f"messages/{latest}"):
        await admin.ask("set_reaction", target=target, emoji="🎉", on=True)
        assert await pushed(admin, "reaction_update")
    await until(lambda: any(frame.get("target") == f"messages/{latest}" for frame in admin.pushes))
    assert (await member.ask("ping"))["type"] == "pong"
    assert member.pushes == []
    refused = await member.ask("set_reaction", target=group.target, emoji="❤️", on=True)
    assert refused["reason"] == "MESSAGE_NOT_FOUND"
    assert (await member.ask("subscribe", topics=topics))["reason"] == "CONVERSATION_NOT_FOUND"
    status, page = await group.member.ask("GET", f"{group.path}/messages")
    assert (status, [message["content"] for message in page["messages"]]) == (200, ["first"])
    assert (await member.ask("get_reactions", target=group.target))["type"] == "ack"
    # Added again, the member subscribes again.
    await group.admin.ask("POST", f"{group.path}/members", {"user_ids": [group.member.user]})
    assert (await member.ask("subscribe", topics=topics))["type"] == "subscribed"


async def test_reactions_on_messages_reach_all_who_follow_the_conversation_and_no_one_else(group: Group) -> None:
    before = group.target
    late = await group.socket(group.stranger)
    followers = [await group.socket(user) for user in (group.admin, group.member)]
    for socket in followers:
        assert (await socket.ask("subscribe", topics=[group.topic]))["type"] == "subscribed"
    await group.admin.ask("POST", f"{group.path}/members", {"user_ids": [group.stranger.user]})
    assert (await late.ask("subscribe", topics=[group.topic]))["type"] == "subscribed"
    await followers[1].ask("set_reaction", target=before, emoji="👍", on=True)
    for socket in followers:
        update = await pushed(socket, "reaction_update")
        assert (update["topic"], update["target"], counts(update["reactions"])) == (group.topic, before, {"👍": 1})
        assert update["recent"] == [group.member.user]
    latest = f"messages/{await group.send('second')}"
    await followers[1].ask("set_reaction", target=latest, emoji="👍", on=True)
    for socket in (*followers, late):
        assert (await pushed(socket, "reaction_update"))["target"] == latest
    # The message was before the last one joined: nothing about it came.
    assert [frame["type"] for frame in late.pushes] == []


async def test_messages_of_a_channel_come_on_its_topic_and_not_to_each_member(group: Group) -> None:
    follower, member = await group.socket(group.admin), await group.socket(group.member)
    for socket, user in ((follower, group.admin), (member, group.member)):
        await socket.ask("subscribe", topics=[f"users/{user.user}"])
    assert (await follower.ask("subscribe", topics=[group.topic]))["type"] == "subscribed"
    await group.admin.ask("POST", f"{group.path}/channel", {})
    assert (await pushed(member, "member_changed"))["topic"].startswith("users/")
    sent = await group.send("to the channel")
    push = await pushed(follower, "new_message")
    assert (push["topic"], push["message_id"], push["content"]) == (group.topic, sent, "to the channel")
    assert "seq" not in push
    await group.admin.ask("PATCH", f"{group.path}/messages/{sent}", {"content": "edited"})
    assert (await pushed(follower, "message_changed"))["change"]["message"]["content"] == "edited"
    # On the topic of a member comes only what is about the member.
    await group.admin.ask("POST", f"{group.path}/members", {"user_ids": [group.stranger.user]})
    await group.remove(group.member)
    assert (await pushed(member, "member_changed"))["change"]["type"] == "CHANGE_TYPE_MEMBER_REMOVED"
    assert member.pushes == []
    await until(lambda: sum(frame["type"] == "member_changed" for frame in follower.pushes) == 4)
    changes = [(frame["change"]["type"], frame["topic"].split("/")[0]) for frame in follower.pushes]
    assert sorted(changes) == [
        ("CHANGE_TYPE_CONVERTED_TO_CHANNEL", "conversations"),
        ("CHANGE_TYPE_CONVERTED_TO_CHANNEL", "users"),
        ("CHANGE_TYPE_MEMBERS_ADDED", "conversations"),
        ("CHANGE_TYPE_MEMBER_REMOVED", "conversations"),
    ]
