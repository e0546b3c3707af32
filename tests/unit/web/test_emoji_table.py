"""What the page's picker offers, against what the server takes."""

from __future__ import annotations

import json
from pathlib import Path

from reaction_svc.emoji import canonical

TABLE = Path(__file__).resolve().parents[3] / "web" / "emoji.json"


def test_the_picker_offers_only_emoji_the_server_accepts() -> None:
    offered = [line.split(" ", 1)[0] for group in json.loads(TABLE.read_text("utf-8")) for line in group["emoji"]]
    refused = [emoji for emoji in offered if canonical(emoji) != emoji.replace("\N{VARIATION SELECTOR-16}", "")]
    assert len(offered) > 1500
    assert refused == []
