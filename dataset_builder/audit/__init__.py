"""Audits of a dataset: a blind check of its automatic concepts by radiologists, and its licences."""
