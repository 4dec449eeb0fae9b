{{ link('link_news_cryptocurrency_hk', {'news_hk': ['text'], 'cryptocurrency_hk': ['text']}, [
    {'model': 'raw_news', 'keys': {'news_hk': ['url'], 'cryptocurrency_hk': ['cryptocurrency']}},
]) }}
