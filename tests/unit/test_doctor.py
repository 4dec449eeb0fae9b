"""The doctor says of each source whether it is on, and asks every address it would read."""

import pytest

from tickvault.operations import doctor


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"news_base_url": None, "news_rss_urls": ""}, {"source news": None}),
        ({"news_base_url": "http://list"}, {"source news": "http://list"}),
        ({"news_rss_urls": "http://a/{id}, http://b"}, {"source news, RSS": "http://a/{id} http://b"}),
    ],
)
def test_news_are_off_only_without_list_and_feeds(make_settings, monkeypatch, tmp_path, settings, found):
    monkeypatch.setattr(doctor, "_reachable", lambda url: url)
    monkeypatch.setattr(doctor, "_ledger", lambda _: "there")
    chosen = make_settings(lake_path=tmp_path, **{"news_base_url": None, "news_rss_urls": ""} | settings)
    said: dict[str, str | None] = {}
    for finding in doctor.examine(chosen):
        if finding.subject.startswith("source news"):
            before = said.get(finding.subject)
            said[finding.subject] = f"{before} {finding.found}" if before else finding.found if finding.good else None
    assert said == found
