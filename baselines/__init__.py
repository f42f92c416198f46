"""Baselines: train on a dataset folder, write a run file.

Imports nothing but `rocov2_eval` of this project; meets it in files.
"""
