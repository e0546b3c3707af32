"""Which users may see which messages of conversations, for services that serve what belongs to messages."""
