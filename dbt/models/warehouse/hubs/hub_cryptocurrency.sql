{{ hub('cryptocurrency_hk', {'cryptocurrency': 'text'}, [
    {'model': 'raw_news', 'columns': ['cryptocurrency']},
]) }}
