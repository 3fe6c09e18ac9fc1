"""The browser of this lane, and what its checks find."""

from __future__ import annotations

import pytest

from .conftest import OpenPage, scrolls_sideways, serious_findings


def test_findings_of_axe_are_reported(open_page: OpenPage) -> None:
    with open_page() as page:
        page.set_content("<html lang=en><title>t</title><main><h1>h</h1><button></button></main></html>")
        assert serious_findings(page) == ["button-name at ['button']"]


def test_a_page_that_is_too_wide_is_noticed(open_page: OpenPage) -> None:
    with open_page(360) as page:
        page.set_content("<p style='width: 300px'>fits")
        assert not scrolls_sideways(page)
        page.set_content("<p style='width: 700px'>does not fit")
        assert scrolls_sideways(page)


def test_an_error_in_a_page_fails_its_test(open_page: OpenPage) -> None:
    with pytest.raises(AssertionError), open_page() as page:
        page.set_content("<script>console.error('a breach')</script>")
