select
    link.link_news_asset_hk as news_event_hk,
    link.news_hk,
    link.asset_hk,
    hub.asset_symbol,
    hub.asset_type,
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
from {{ ref('link_news_asset') }} link
inner join {{ ref('pit_asset') }} hub on link.asset_hk = hub.asset_hk
inner join {{ current_rows(ref('sat_news_content'), ['news_hk']) }} content on link.news_hk = content.news_hk
