-- Which database a row is copied from; null where this very table is the target's own ledger.
ALTER TABLE data_platform.loads ADD COLUMN target text;
