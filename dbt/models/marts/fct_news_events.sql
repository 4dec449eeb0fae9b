select
    bridge.link_news_asset_hk as news_event_hk,
    bridge.news_hk,
    bridge.asset_hk,
    bridge.asset_symbol,
    bridge.asset_type,
    content.url,
    content.title,
    content.description,
    content.image,
    content.source,
    {{ as_type('coalesce(content.published_at, content.observed_at)', 'time') }} as published_at,
    {{ as_type('coalesce(content.published_at, content.observed_at)', 'date') }} as published_date,
    content.observed_at,
    content.record_source,
    content.load_timestamp,
    content.package_id
from {{ ref('bridge_news_asset') }} bridge
inner join {{ ref('sat_news_content') }} content
    on {{ points_to('bridge', 'sat_news_content', 'content', 'news_hk') }}
