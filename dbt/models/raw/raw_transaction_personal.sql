{{ raw_transactions('personal') }}
