-- What retention and `lake gc` look for, each by an index: neither may read what is kept to find what is due. And the
-- build under way, which every build asks for.

-- Nodes that were noted before this count from now.
ALTER TABLE data_platform.models ADD COLUMN noted_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX models_by_time ON data_platform.models (noted_at);
CREATE INDEX builds_by_age ON data_platform.builds (started_at);
CREATE INDEX builds_under_way ON data_platform.builds (target) WHERE status = 'running';
CREATE INDEX rejects_replayed ON data_platform.rejects (created_at) WHERE replayed_by IS NOT NULL;
CREATE INDEX publication_by_age ON data_platform.publication (recorded_at);
CREATE INDEX alert_history_by_end ON data_platform.alert_history (ended_at);
CREATE INDEX packages_by_slot ON data_platform.packages (slot);
