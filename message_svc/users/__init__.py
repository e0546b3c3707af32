"""Users: profiles, contacts, blocked users, preferences, and what these allow others to do."""
