"""The rules: exposures, trials, outcomes, assessment. Pure: standard library only, today's date is an argument."""
