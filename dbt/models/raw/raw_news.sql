{{ raw_table('raw_news', {
    'cryptocurrency': 'text', 'url': 'text', 'title': 'text', 'description': 'text', 'date': 'time', 'image': 'text',
    'source': 'text', 'observed_at': 'time',
}) }}
