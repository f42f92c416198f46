"""Leaderboards: submissions in, rankings and a site out."""
