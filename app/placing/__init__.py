"""Hides how people without a group come into groups: what is known of them, a balanced proposal, its changes, and its application."""
