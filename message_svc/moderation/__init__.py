"""Reports of messages, and what moderators of a tenant do."""
