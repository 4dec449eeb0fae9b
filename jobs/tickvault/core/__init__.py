"""What everything else speaks of: slots, streams, packages, records, settings, errors. Opens no connection."""
