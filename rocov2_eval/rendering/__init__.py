"""What is printed: one document of plain values, and one way to write it in each format."""
