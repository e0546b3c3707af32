"""How many reactions a user may have on a target, by the collection of the target."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Policy(Enum):
    """How many emoji a user may have on one target."""

    # Any number of different emoji.
    ONE_PER_EMOJI = "one_per_emoji"
    # One; choosing another switches to it.
    SINGLE_CHOICE = "single_choice"


POLICIES: Mapping[str, Policy] = {
    "messages": Policy.ONE_PER_EMOJI,
    "streams": Policy.ONE_PER_EMOJI,
    "posts": Policy.SINGLE_CHOICE,
    "comments": Policy.SINGLE_CHOICE,
}


def policy_of(target: str) -> Policy:
    """The policy of a valid target such as `posts/7`."""
    return POLICIES[target[: target.index("/")]]
