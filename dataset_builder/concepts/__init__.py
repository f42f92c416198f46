"""Concepts of figures."""
