"""Dataset builder: PMC Open Access articles to a dataset folder in the ROCOv2 layout.

Imports nothing but `rocov2_eval` of this project; meets it in files.
"""
