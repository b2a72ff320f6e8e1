"""Patients nobody tuned the readers to: random stories in random spellings, judged by a second opinion."""
