{{ satellite('transaction_hk', keys={'transaction_id': 'key'}, observed='transaction_timestamp', payload={
    'transaction_id': 'text', 'customer_id': 'text', 'company_id': 'text', 'asset_type': 'text',
    'asset_symbol': 'text', 'transaction_type': 'text', 'quantity': 'number', 'price_per_unit': 'number',
    'transaction_amount': 'number', 'fee_amount': 'number', 'currency': 'text',
}, sources=[{'model': 'raw_transaction_corporate'}]) }}
