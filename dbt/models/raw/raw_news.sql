-- A feed names a coin by its symbol or by its CoinGecko id; asset_symbol is the symbol either way.
select
    news.*,
    cast(coalesce(by_symbol.symbol, by_id.symbol, news.cryptocurrency) as varchar) as asset_symbol
from (
    {{ raw_table('raw_news', {
        'cryptocurrency': 'text', 'url': 'text', 'title': 'text', 'description': 'text', 'date': 'time',
        'image': 'text', 'source': 'text', 'observed_at': 'time',
    }) | indent(4) }}
) news
left join {{ ref('asset_info') }} by_symbol
    on by_symbol.asset_class = 'crypto' and by_symbol.symbol = {{ hash_text('news.cryptocurrency', 'key') }}
left join {{ ref('asset_info') }} by_id
    on by_id.asset_class = 'crypto' and by_id.coingecko_id = news.cryptocurrency
