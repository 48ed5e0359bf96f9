"""Scoring of many pictures: which ones, through threads and devices, into a table and onto a page."""
