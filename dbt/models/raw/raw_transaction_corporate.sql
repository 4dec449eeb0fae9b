{{ raw_transactions('corporate') }}
