"""Tests of the page in a browser: Playwright drives the Chromium of the system, one for all of them."""
