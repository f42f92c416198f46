"""Radiology phantoms drawn with numpy: nothing here was ever photographed."""
