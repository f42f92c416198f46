"""How far raters agree: coefficients, their report, and how many images a study of them needs."""
