"""Recordings as a user has them, read piece by piece, for a classifier: nothing is prepared or kept.

``find`` lists them, ``reader`` says what reading one gives, ``plain_csv`` and ``whole`` read; ``signal`` holds the
50 Hz signal of a long recording on disk; ``units`` guesses units, ``stillness`` finds what was not worn, ``gravity``
calibrates.
"""
