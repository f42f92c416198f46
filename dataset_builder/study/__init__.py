"""Studies of people: curation by hand, agreement between raters, audits of automatic concepts."""
