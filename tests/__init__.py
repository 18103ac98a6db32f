"""Tests: one file per stage; names are sentences of behaviour."""
