"""Who reacted to what."""
