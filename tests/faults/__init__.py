"""Faults that clusters inflict on a run, injected one by one.

The quick ones are tests of the suite. ``python -m tests.faults.rank_killed`` takes a minute and is run by hand. Faults
of one rank out of two are in test_one_rank.py. Others are injected beside what they concern: NaN on one rank and
SIGTERM under torchrun in tests/test_two_ranks.py, a read that hangs and unreadable frame files in
tests/datasets/test_loader.py.
"""
