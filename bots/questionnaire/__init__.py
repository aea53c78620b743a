"""Instruments as files, and what their answers add up to."""
