"""How anything is trained here: one plain loop that can be stopped anywhere, and what it writes."""
