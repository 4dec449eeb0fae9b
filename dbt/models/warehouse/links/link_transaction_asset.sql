{% set keys = {'transaction_hk': ['transaction_id'], 'asset_hk': ['asset_type', 'asset_symbol']} %}

{{ link('link_transaction_asset_hk', {'transaction_hk': ['key'], 'asset_hk': ['text', 'key']}, [
    {'model': 'raw_transaction_personal', 'keys': keys},
    {'model': 'raw_transaction_corporate', 'keys': keys},
]) }}
