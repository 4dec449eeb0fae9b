{{ hub('news_hk', {'url': 'text'}, [
    {'model': 'raw_news', 'columns': ['url']},
]) }}
