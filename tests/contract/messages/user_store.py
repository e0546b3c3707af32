"""What every store of users promises."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from message_svc.errors import ListFull, PhoneTaken, UsernameTaken
from message_svc.users.domain import (
    DEFAULTS,
    Audience,
    Preferences,
    PreferencesChange,
    Profile,
    ProfileChange,
    Related,
    Relation,
)
from message_svc.users.ports import ErasureStore, PendingErasure, UserStore
from tests.naughty import NAUGHTY

T, OTHER_TENANT = "acme", "globex"
PHONE = "+4930123456"


async def entered(store: UserStore, *users: str, tenant: str = T) -> None:
    for user, at in zip(users, count(1_000)):
        await store.enter(tenant, user, at)


class UserStoreContract:
    """Each test has a store of its own, as `store`."""

    async def test_a_user_exists_from_its_first_call_on(self, store: UserStore) -> None:
        assert await store.find(T, ["alice"]) == {}
        await store.enter(T, "alice", 1_000)
        await store.enter(T, "alice", 2_000)
        assert await store.find(T, ["bob", "alice"]) == {"alice": Profile("alice", create_ms=1_000)}
        assert await store.find(OTHER_TENANT, ["alice"]) == {}

    async def test_a_change_of_a_profile_does_not_change_unnamed_fields(self, store: UserStore) -> None:
        await entered(store, "alice")
        change = ProfileChange("alice.b", "Alice", PHONE, "https://example.com/a.png", "de-AT", "Europe/Vienna")
        expected = Profile("alice", *change, create_ms=1_000)  # type: ignore[arg-type]
        assert await store.update(T, "alice", change) == expected
        assert await store.update(T, "alice", change) == expected
        assert await store.update(T, "alice", ProfileChange(display_name="")) == expected._replace(display_name="")
        assert await store.find(T, ["alice"]) == {"alice": expected._replace(display_name="")}

    @pytest.mark.parametrize("field", ["username", "phone"])
    async def test_of_a_hundred_users_that_race_for_a_name_one_gets_it(self, store: UserStore, field: str) -> None:
        users = [f"racer-{number}" for number in range(100)]
        await entered(store, *users)
        change = ProfileChange(**{field: PHONE})
        results = await asyncio.gather(*(store.update(T, user, change) for user in users), return_exceptions=True)
        (winner,) = [result for result in results if isinstance(result, Profile)]
        expected = UsernameTaken if field == "username" else PhoneTaken
        assert {type(result) for result in results if result is not winner} == {expected}
        found = await store.find(T, users)
        assert [user for user, profile in found.items() if getattr(profile, field) == PHONE] == [winner.user]

    async def test_a_refused_change_of_a_profile_changes_nothing(self, store: UserStore) -> None:
        await entered(store, "alice", "bob")
        await store.update(T, "alice", ProfileChange("alice", phone=PHONE))
        with pytest.raises(PhoneTaken):
            await store.update(T, "bob", ProfileChange("bob", "Bob", PHONE))
        assert (await store.find(T, ["bob"]))["bob"] == Profile("bob", create_ms=1_001)

    async def test_a_released_name_is_free_and_names_are_of_one_tenant(self, store: UserStore) -> None:
        await entered(store, "alice", "bob")
        await entered(store, "carol", tenant=OTHER_TENANT)
        taken = ProfileChange("a", phone=PHONE)
        await store.update(T, "alice", taken)
        await store.update(OTHER_TENANT, "carol", taken)
        await store.update(T, "alice", ProfileChange("", phone=""))
        assert (await store.update(T, "bob", taken)).username == "a"

    async def test_the_search_finds_usernames_by_their_beginning_page_by_page(self, store: UserStore) -> None:
        names = {"ann": "ann", "anna": "anna", "anne": "anné", "bob": "bob", "ana": "an.a", "zoe": "an\U000e01ef"}
        await entered(store, *names, "nameless")
        for user, name in names.items():
            await store.update(T, user, ProfileChange(name))
        assert [found.user for found in await store.search(T, "an", "", 9)] == ["ana", "ann", "anna", "anne", "zoe"]
        assert [found.user for found in await store.search(T, "an", "", 2)] == ["ana", "ann"]
        assert [found.user for found in await store.search(T, "an", "ann", 2)] == ["anna", "anne"]
        assert await store.search(T, "an%", "", 9) == []
        assert await store.search(OTHER_TENANT, "an", "", 9) == []

    async def test_a_number_finds_its_user_who_may_forbid_it(self, store: UserStore) -> None:
        await entered(store, "alice", "bob")
        profile = await store.update(T, "alice", ProfileChange(phone=PHONE))
        assert await store.find_by_phone(T, PHONE) == profile
        assert await store.find_by_phone(T, "") is None
        assert await store.find_by_phone(OTHER_TENANT, PHONE) is None
        await store.set_preferences(T, "alice", PreferencesChange(phone_lookup=False))
        assert await store.find_by_phone(T, PHONE) is None

    async def test_a_change_of_preferences_does_not_change_unnamed_ones(self, store: UserStore) -> None:
        assert await store.preferences(T, "alice") == DEFAULTS
        await entered(store, "alice")
        changed = await store.set_preferences(T, "alice", PreferencesChange(who_may_add=Audience.NOBODY))
        assert changed == Preferences(who_may_add=Audience.NOBODY)
        changed = await store.set_preferences(T, "alice", PreferencesChange(read_receipts=False))
        assert changed == await store.preferences(T, "alice")
        assert changed == Preferences(who_may_add=Audience.NOBODY, read_receipts=False)
        assert (await store.enter(T, "alice", 5_000)).preferences == changed

    async def test_contacts_are_added_once_and_listed_by_their_ids(self, store: UserStore) -> None:
        assert await store.add_contact(T, "alice", "bob", 1_000, 3) == Related("bob", 1_000)
        assert await store.add_contact(T, "alice", "bob", 2_000, 3) == Related("bob", 1_000)
        for other in ("dave", "carol"):
            await store.add_contact(T, "alice", other, 3_000, 3)
        assert [related.user for related in await store.contacts(T, "alice", "", 2)] == ["bob", "carol"]
        assert [related.user for related in await store.contacts(T, "alice", "carol", 2)] == ["dave"]
        assert await store.contacts(T, "bob", "", 2) == []
        await store.remove_contact(T, "alice", "bob")
        await store.remove_contact(T, "alice", "bob")
        assert [related.user for related in await store.contacts(T, "alice", "", 9)] == ["carol", "dave"]

    @pytest.mark.parametrize("kind", ["add_contact", "block"])
    async def test_a_full_list_refuses_new_entries(self, store: UserStore, kind: str) -> None:
        add = getattr(store, kind)
        results = await asyncio.gather(
            *(add(T, "alice", f"user-{number}", 1_000, 5) for number in range(10)), return_exceptions=True
        )
        assert sum(isinstance(result, Related) for result in results) == 5
        assert sum(isinstance(result, ListFull) for result in results) == 5
        first = next(result for result in results if isinstance(result, Related))
        assert await add(T, "alice", first.user, 2_000, 5) == first

    async def test_a_block_has_effect_on_both_users_until_it_ends(self, store: UserStore) -> None:
        await entered(store, "alice", "bob", "carol")
        assert await store.block(T, "alice", "bob", 1_000, 9) == Related("bob", 1_000)
        await store.block(T, "bob", "carol", 1_000, 9)
        assert (await store.enter(T, "alice", 1)).blocked_with == {"bob"}
        assert (await store.enter(T, "bob", 1)).blocked_with == {"alice", "carol"}
        assert (await store.enter(OTHER_TENANT, "bob", 1)).blocked_with == frozenset()
        assert [related.user for related in await store.blocked(T, "alice", "", 9)] == ["bob"]
        assert [related.user for related in await store.blocked(T, "carol", "", 9)] == []
        await store.unblock(T, "bob", "alice")  # the block is alice's
        assert (await store.enter(T, "bob", 1)).blocked_with == {"alice", "carol"}
        await store.unblock(T, "alice", "bob")
        assert (await store.enter(T, "bob", 1)).blocked_with == {"carol"}

    async def test_relations_are_what_the_others_allow_the_user(self, store: UserStore) -> None:
        await entered(store, "alice", "bob", "carol", "dave", "eve")
        only_contacts = Preferences(who_may_write=Audience.CONTACTS)
        await store.set_preferences(T, "bob", PreferencesChange(who_may_write=Audience.CONTACTS))
        await store.add_contact(T, "bob", "alice", 1_000, 9)
        await store.add_contact(T, "alice", "carol", 1_000, 9)  # which says nothing of carol's contacts
        await store.block(T, "dave", "alice", 1_000, 9)
        await store.block(T, "alice", "eve", 1_000, 9)
        await store.block(T, "carol", "bob", 1_000, 9)
        asked = ["bob", "carol", "dave", "eve", "unknown"]
        found = await store.relations(T, "alice", asked)
        assert {user: found.get(user, Relation()) for user in asked} == {
            "bob": Relation(only_contacts, has_contact=True),
            "carol": Relation(),
            "dave": Relation(is_blocked=True),
            "eve": Relation(is_blocked=True),
            "unknown": Relation(),
        }
        assert await store.relations(T, "alice", []) == {}

    async def test_an_erasure_deletes_what_the_user_has_stored_and_nothing_of_others(self, store: UserStore) -> None:
        await entered(store, "alice", "bob")
        await entered(store, "alice", tenant=OTHER_TENANT)
        await store.update(T, "alice", ProfileChange("alice", phone=PHONE))
        for one, other in (("alice", "bob"), ("alice", "carol"), ("bob", "alice")):
            await store.add_contact(T, one, other, 1_000, 9)
        await store.block(T, "alice", "carol", 1_000, 9)
        await store.block(T, "bob", "alice", 1_000, 9)
        assert await store.erase(T, "alice") == 4
        assert await store.erase(T, "alice") == 0
        assert set(await store.find(T, ["alice", "bob"])) == {"bob"}
        assert await store.find_by_phone(T, PHONE) is None
        assert (await store.contacts(T, "alice", "", 9), await store.blocked(T, "alice", "", 9)) == ([], [])
        assert [related.user for related in await store.contacts(T, "bob", "", 9)] == ["alice"]
        assert (await store.enter(T, "alice", 9_000)).blocked_with == {"bob"}
        assert set(await store.find(OTHER_TENANT, ["alice"])) == {"alice"}

    async def test_texts_come_back_as_they_were_stored(self, store: UserStore) -> None:
        await entered(store, "alice")
        for text in NAUGHTY:
            if "\0" not in text:
                assert (await store.update(T, "alice", ProfileChange(display_name=text))).display_name == text
                assert (await store.find(T, ["alice"]))["alice"].display_name == text

    async def test_many_users_are_found_in_one_call(self, store: UserStore) -> None:
        users = [f"user-{number:03}" for number in range(200)]
        await asyncio.gather(*(store.enter(T, user, 1) for user in users))
        assert set(await store.find(T, users)) == set(users)

    async def test_an_erasure_is_claimed_once_until_it_is_abandoned_or_done(self, store: ErasureStore) -> None:
        for user in ("alice", "bob"):
            await store.add_erasure("acme", user, 1_000)
        await store.record_erasure("acme", "alice", 2_000, 7)
        await store.add_erasure("acme", "alice", 9_000)  # there is one already
        assert await store.claim_erasures(1_000, 5_000, 10) == []
        assert await store.claim_erasures(1_001, 5_000, 10) == [PendingErasure("acme", "bob", 0)]
        assert await store.claim_erasures(2_001, 5_000, 10) == [PendingErasure("acme", "alice", 7)]
        assert await store.claim_erasures(5_000, 6_000, 10) == []
        assert len(await store.claim_erasures(5_001, 6_000, 1)) == 1
        for user in ("alice", "bob", "nobody"):
            await store.remove_erasure("acme", user)
        assert await store.claim_erasures(99_000, 99_000, 10) == []
