"""Tests mirror the tree; this file keeps the name from an installed package called tests."""
