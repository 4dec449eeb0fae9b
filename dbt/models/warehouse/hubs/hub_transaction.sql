{{ hub('transaction_hk', {'transaction_id': 'key'}, [
    {'model': 'raw_transaction_personal', 'columns': ['transaction_id']},
    {'model': 'raw_transaction_corporate', 'columns': ['transaction_id']},
]) }}
