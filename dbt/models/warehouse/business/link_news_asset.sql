-- Rule 1: a feed names a coin by its symbol, or by its CoinGecko id; what is neither is a symbol that nobody listed.
-- A changed list adds relations, and so does a changed rule, which gets another version; what was said stays.
{{ config(materialized='vault') }}
{{ describe_vault('computed link', 'link_news_asset_hk', {
    'link_news_asset_hk': 'text', 'news_hk': 'text', 'asset_hk': 'text', 'asset_symbol': 'text', 'rule_version': 'text',
}, ['news_hk', 'asset_hk']) }}

with named as (
    select
        news.news_hk, news.url, coins.cryptocurrency,
        {{ hash_text('coins.cryptocurrency', 'key') }} as symbol,
        link.record_source, link.package_id, link.load_timestamp
    from {{ ref('link_news_cryptocurrency') }} link
    inner join {{ ref('hub_news') }} news on link.news_hk = news.news_hk
    inner join {{ ref('hub_cryptocurrency') }} coins on link.cryptocurrency_hk = coins.cryptocurrency_hk
    where {{ is_no_ghost('link.link_news_cryptocurrency_hk') }}
),

found as (
    select
        named.*,
        'crypto' as asset_type,
        {{ hash_text('coalesce(by_symbol.symbol, by_id.symbol, named.cryptocurrency)', 'key') }} as asset_symbol
    from named
    left join {{ ref('asset_info') }} by_symbol
        on by_symbol.asset_class = 'crypto' and named.symbol = by_symbol.symbol
    left join {{ ref('asset_info') }} by_id
        on by_id.asset_class = 'crypto' and named.cryptocurrency = by_id.coingecko_id
),

keyed as (
    select
        {{ hash_columns({'url': 'text', 'asset_type': 'text', 'asset_symbol': 'key'}) }} as link_news_asset_hk,
        news_hk,
        {{ hash_columns({'asset_type': 'text', 'asset_symbol': 'key'}) }} as asset_hk,
        asset_symbol,
        '1' as rule_version,
        record_source,
        package_id,
        load_timestamp
    from found
)

{{ first_of('link_news_asset_hk', ['news_hk', 'asset_hk', 'asset_symbol', 'rule_version']) }}
