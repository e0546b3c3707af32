"""The store of users on its engines."""
