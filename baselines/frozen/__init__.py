"""Answers without training a network: floors, nearest neighbours and a linear probe over frozen features."""
