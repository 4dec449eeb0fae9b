-- From an article over the name that its feed gave a coin to the asset that the rule found, and to its newest content.
{{ describe_pit('link_news_asset_hk', {'sat_news_content': 'news_hk'}, {
    'news_hk': 'text', 'asset_hk': 'text', 'asset_type': 'text', 'asset_symbol': 'text', 'rule_version': 'text',
}, kind='bridge', hubs=['link_news_asset_hk', 'news_hk', 'asset_hk']) }}

select
    links.link_news_asset_hk,
    links.news_hk,
    links.asset_hk,
    assets.asset_type,
    assets.asset_symbol,
    links.rule_version,
    {{ pointer('content', 'sat_news_content', 'news_hk') }}
from {{ ref('link_news_asset') }} links
inner join {{ ref('pit_asset') }} assets on links.asset_hk = assets.asset_hk
left join {{ current_rows(ref('sat_news_content'), ['news_hk']) }} content on links.news_hk = content.news_hk
