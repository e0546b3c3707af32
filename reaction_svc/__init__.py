"""Reactions of users on targets."""
