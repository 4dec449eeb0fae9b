"""What everything else speaks of: slots, streams, packages, batches, records, settings, errors. Opens no connection."""
