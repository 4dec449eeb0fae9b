{{ link('link_news_asset_hk', {'news_hk': ['text'], 'asset_hk': ['text', 'key']}, [
    {'model': 'raw_news', 'keys': {'news_hk': ['url'], 'asset_hk': ["'crypto'", 'asset_symbol']}},
]) }}
