"""Score radiology image-caption runs exactly as ImageCLEFmedical Caption does."""

__version__ = "0.1.0"
