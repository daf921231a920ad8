"""The corpus: the same on every call, finite, and described by nothing that lies ahead."""

from __future__ import annotations

import numpy as np
import pytest

from tb_gradhealth.demo import text

LINES = "abc\n  de\n\n\nxyz w\n"
PADDED = LINES + "x" * 2 * text.WINDOW


@pytest.fixture(scope="module")
def corpus() -> text.Corpus:
    return text.read(text.standard_library(60_000))


def test_reading_twice_gives_the_same(corpus: text.Corpus) -> None:
    again = text.read(text.standard_library(60_000))
    np.testing.assert_array_equal(corpus.tokens, again.tokens)
    np.testing.assert_array_equal(corpus.descriptors, again.descriptors)


def test_the_library_is_bounded() -> None:
    assert len(text.standard_library(5_000)) == 5_000


def test_every_token_is_in_the_vocabulary(corpus: text.Corpus) -> None:
    assert corpus.tokens.shape == (60_000,)
    assert set(np.unique(corpus.tokens)) <= set(range(corpus.vocabulary))


def test_descriptors_are_finite_and_never_constant(corpus: text.Corpus) -> None:
    assert corpus.descriptors.shape == (60_000, len(corpus.names))
    assert np.isfinite(corpus.descriptors).all()
    assert (corpus.descriptors.std(axis=0) > 0).all()


def test_standardised_descriptors_have_mean_0_and_deviation_1(corpus: text.Corpus) -> None:
    scaled = corpus.standardised().astype(np.float64)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("column", [0, 1, 2, 3, 0, 1, 2, 3, 4, 0, 0, 0, 1, 2, 3, 4, 5]),
        ("indentation", [0, 0, 0, 0, 1, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("since_space", [0, 1, 2, 0, 0, 0, 1, 2, 0, 0, 0, 1, 2, 3, 0, 1, 0]),
        ("previous_line_length", [0, 0, 0, 0, 3, 3, 3, 3, 3, 4, 0, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_where_a_character_stands(name: str, expected: list[int]) -> None:
    corpus = text.read(PADDED)
    assert corpus.descriptors[: len(LINES), corpus.names.index(name)].tolist() == expected


def test_counts_look_back_over_one_window() -> None:
    corpus = text.read("\n" * text.WINDOW + "a" * (2 * text.WINDOW))
    newlines = corpus.descriptors[:, corpus.names.index("newlines_in_window")]
    window = text.WINDOW
    assert newlines[[0, window - 1, window, 2 * window - 2, 2 * window - 1]].tolist() == [
        window,
        window,
        window - 1,
        1,
        0,
    ]


def test_descriptors_do_not_look_ahead() -> None:
    before = text.standard_library(6_000)
    one, other = text.read(before + "z" * 3_000), text.read(before + "\n  9" * 750)
    np.testing.assert_array_equal(one.descriptors[:6_000], other.descriptors[:6_000])


def test_rare_characters_share_the_last_token() -> None:
    corpus = text.read("ab" * text.WINDOW + "é☃")
    assert corpus.vocabulary == 3
    assert corpus.tokens[-2:].tolist() == [2, 2]


def test_a_text_that_is_too_short_says_so() -> None:
    with pytest.raises(ValueError, match=r"expected at least 2048 characters .* got 3"):
        text.read("abc")
