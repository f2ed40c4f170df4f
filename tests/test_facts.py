"""What the doctor's values promise by themselves."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from ipcpy.facts import LEVELS, Diagnosis, Finding, InterfaceFacts, PeerFacts


@pytest.mark.parametrize(("levels", "worst"), [((), "ok"), (("ok", "note"), "note"), (("ok", "problem"), "problem")])
def test_the_level_of_a_diagnosis_is_its_worst(levels, worst):
    assert Diagnosis(tuple(Finding(level, "code", "about", "Text.") for level in levels)).level == worst


def test_each_level_is_worse_than_those_after_it():
    for worse, better in zip(LEVELS, LEVELS[1:], strict=False):
        both = tuple(Finding(level, "code", "about", "Text.") for level in (better, worse))
        assert Diagnosis(both).level == worse


def test_a_peer_has_a_port_once_only_one_is_left():
    assert PeerFacts("arm", "10.0.0.7").port is None
    assert PeerFacts("arm", "10.0.0.7", ports=(17_770, 17_771)).port is None
    assert PeerFacts("arm", "10.0.0.7", ports=(17_771,)).port == 17_771


def test_what_is_true_or_false_is_said_by_name():
    with pytest.raises(TypeError):
        InterfaceFacts("eth0", ("10.0.0.1/24",), 1_500, True, True, False, True)
    with pytest.raises(TypeError):
        PeerFacts("arm", "10.0.0.7", (17_770,), True)


def test_a_fact_that_was_found_does_not_change():
    with pytest.raises(FrozenInstanceError):
        PeerFacts("arm", "10.0.0.7").answered = True
