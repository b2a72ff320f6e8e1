"""The rules: exposures, trials, outcomes, assessment. Pure: today's date is an argument."""
