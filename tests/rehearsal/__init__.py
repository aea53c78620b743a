"""Whole courses, played with people who do not exist."""
