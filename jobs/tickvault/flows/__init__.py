"""What runs together, in which order, on which schedule: plans, Prefect, backfill."""
