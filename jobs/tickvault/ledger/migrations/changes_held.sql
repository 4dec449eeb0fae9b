-- What a table's change table was when a load left rows in it; empty where it left none.
ALTER TABLE data_platform.holdings ADD COLUMN changes text NOT NULL DEFAULT '';
