"""PMC Open Access: how its articles are distributed, and what their XML says."""
