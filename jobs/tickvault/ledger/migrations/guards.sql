-- A living run holds an advisory lock of its session (runs.py); one that says «running» while nobody holds its lock is
-- over. Runs of before held none: nothing can be said of them.
ALTER TABLE data_platform.runs ADD COLUMN guarded boolean NOT NULL DEFAULT false;
