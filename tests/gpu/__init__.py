"""What only a card can show: ``bash scripts/gpu_check.sh`` runs all of it and writes a table.

Skipped where there is no card. With GPU_CHECK_DEVICE=cpu the same code runs on small sizes without one, which shows
that it runs and nothing else.
"""
