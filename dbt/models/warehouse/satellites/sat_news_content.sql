{{ satellite('news_hk', keys={'url': 'text'}, observed='observed_at', payload={
    'url': 'text', 'title': 'text', 'description': 'text', 'published_at': 'time', 'image': 'text', 'source': 'text',
}, sources=[{'model': 'raw_news', 'columns': {'published_at': 'date'}}]) }}
