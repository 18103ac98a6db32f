"""Whole days of the real app in virtual time."""
