"""Columns of plots: every extreme is drawn, no more columns than were asked for, whatever the samples."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipcpy.web.plots import Series


def series_of(samples, kept=100_000):
    series = Series(kept)
    for time, value in samples:
        series.add(time, value)
    return series


def test_a_sample_alone_in_its_column_stands_where_it_was_taken():
    series = series_of([(0.3, 1.0), (1.7, 2.0), (2.1, 3.0)])
    assert series.columns(0.0, 3.0, 1.0) == ([0.3, 1.7, 2.1], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 3)
    assert not series.columns(0.0, 3.0, 1.0).thinned


def test_samples_of_one_column_are_their_lowest_and_highest_in_its_middle():
    series = series_of([(4.0, 2.0), (4.1, -7.0), (4.2, 9.0), (4.9, 1.0), (5.5, 3.0)])
    columns = series.columns(4.0, 5.9, 1.0)
    assert columns == ([4.5, 5.5], [-7.0, 3.0], [9.0, 3.0], 5)
    assert columns.thinned


@settings(max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 1000), st.floats(-1e9, 1e9)), min_size=1, max_size=100), st.integers(1, 50))
def test_the_extremes_of_all_samples_are_drawn_in_no_more_columns_than_there_are(samples, columns):
    samples.sort(key=lambda sample: sample[0])
    series = series_of(samples)
    begin, end = samples[0][0], samples[-1][0]
    width = max(end - begin, 0.001) / columns
    made = series.columns(begin, end, width)
    assert made.samples == len(samples)
    assert max(made.high) == max(value for _, value in samples)
    assert min(made.low) == min(value for _, value in samples)
    assert len(made.t) <= columns + 2
    assert made.t == sorted(made.t)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-10, 10)), min_size=2, max_size=100))
def test_what_is_drawn_piece_by_piece_is_what_is_drawn_at_once(samples):
    samples.sort(key=lambda sample: sample[0])
    width, begin = 0.5, samples[0][0]
    drawn: dict[float, tuple] = {}
    series, opened = Series(), begin
    for time, value in samples:
        series.add(time, value)
        since = math.floor(opened / width) * width
        drawn = {t: each for t, each in drawn.items() if t < since}
        made = series.columns(opened, time, width)
        drawn |= {t: (low, high) for t, low, high in zip(*made[:3], strict=True)}
        opened = math.floor(time / width) * width
    whole = series.columns(begin, samples[-1][0], width)
    assert drawn == {t: (low, high) for t, low, high in zip(*whole[:3], strict=True)}


def test_what_is_no_number_is_a_gap():
    series = series_of([(0.1, math.nan), (1.1, 5.0), (1.2, math.nan), (2.1, math.inf), (3.1, math.inf), (3.2, 2.0)])
    columns = series.columns(0.0, 4.0, 1.0)
    assert (columns.low, columns.high) == ([None, 5.0, None, 2.0], [None, 5.0, None, 2.0])


def test_a_sample_that_is_older_than_the_last_one_does_not_go_back_in_time():
    series = series_of([(5.0, 1.0), (4.0, 2.0), (6.0, 3.0)])
    assert series.columns(0.0, 10.0, 0.001).samples == 3
    assert (series.first, series.last) == (5.0, 6.0)


def test_a_series_is_bounded_and_keeps_the_newest():
    series = series_of(((float(n), 0.0) for n in range(30_000)), kept=1000)
    assert 1000 <= len(series) < 1000 + 4096
    assert (series.last, series.added) == (29_999.0, 30_000)


@pytest.mark.parametrize(("samples", "rate"), [([], 0.0), ([(1.0, 0.0)], 0.0)])
def test_too_few_samples_have_no_rate(samples, rate):
    assert series_of(samples).rate() == rate


def test_the_rate_is_that_of_the_last_second():
    series = series_of([(n / 10, 0.0) for n in range(100)] + [(10 + n / 100, 0.0) for n in range(201)])
    assert series.rate() == pytest.approx(100.0)
