{% set nobody = 'cast(null as varchar)' %}

{{ nh_link('nhl_transaction_hk', {
    'transaction_hk': {'transaction_id': 'key'},
    'customer_hk': {'customer_id': 'key'},
    'company_hk': {'company_id': 'key'},
    'asset_hk': {'asset_type': 'text', 'asset_symbol': 'key'},
}, payload={
    'transaction_id': 'text', 'customer_type': 'text', 'customer_id': 'text', 'company_id': 'text', 'asset_type': 'text',
    'asset_symbol': 'text', 'transaction_type': 'text', 'quantity': 'number', 'price_per_unit': 'number',
    'transaction_amount': 'number', 'fee_amount': 'number', 'currency': 'text',
}, observed='transaction_timestamp', sources=[
    {'model': 'raw_transaction_personal', 'keys': {'company_id': nobody}},
    {'model': 'raw_transaction_corporate', 'keys': {'customer_id': nobody, 'company_id': 'customer_id'}},
]) }}
