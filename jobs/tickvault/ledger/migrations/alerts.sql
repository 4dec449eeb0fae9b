-- What the webhook was told: nothing yet (null), a status, or that there is nobody to tell.
ALTER TABLE data_platform.alert_history
    ADD COLUMN annotations jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN expires_at timestamptz,
    ADD COLUMN told text;
UPDATE data_platform.alert_history SET told = 'nobody';
CREATE INDEX alert_history_open ON data_platform.alert_history (expires_at) WHERE status = 'firing';
