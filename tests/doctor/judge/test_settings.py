"""What is said of settings, names and other domains, from facts made up for it."""

from __future__ import annotations

import pytest

from findings import bad, text
from ipcpy.doctor.judge.settings import judge_keys, judge_name, judge_settings, judge_strangers
from ipcpy.facts import NameFacts, SettingsFacts
from ipcpy.graph import Stranger


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (SettingsFacts(), set()),
        (SettingsFacts(peers=(NameFacts("10.0.0.7", 17_770, ("10.0.0.7",)),)), set()),
        (SettingsFacts(error="IPCPY_LOG is one of debug"), {("problem", "no-node")}),
        (SettingsFacts(unknown=("IPCPY_DOMIAN",)), {("warning", "unknown-variable")}),
        (SettingsFacts(missing=("wlan7",)), {("warning", "no-such-interface")}),
        (SettingsFacts(peers=(NameFacts("base.local", None, ()),)), {("problem", "no-such-name")}),
        (SettingsFacts(peers=(NameFacts("base.local", None, None),)), {("warning", "slow-name")}),
    ],
)
def test_settings(facts, expected):
    assert bad(judge_settings(facts)) == expected


def test_settings_are_said_as_they_are_understood():
    facts = SettingsFacts("lab", ("eth0",), (NameFacts("base", 9, ("10.0.0.1",)),), log="debug")
    named = SettingsFacts("lab", namespace="robot1", remap="imu:=front/imu")
    expected = "Domain 'lab', all interfaces, no static peers, topics under 'robot1', remapped imu:=front/imu, no key."
    assert text(judge_settings(named), "settings") == expected
    assert text(judge_settings(facts), "settings") == "Domain 'lab', eth0, base:9, log from debug, no key."


@pytest.mark.parametrize(
    ("keys", "said"), [(("a b c d",), "'a b c d'."), (("a b c d", "e f g h"), "'a b c d' and 1 more accepted.")]
)
def test_keys_are_said_by_their_words(keys, said):
    assert text(judge_settings(SettingsFacts(keys=keys)), "settings").endswith(f", sealed with the key {said}")


def test_who_shares_no_key_is_worth_knowing():
    found = list(judge_keys((Stranger(3, "a b c d"), Stranger(1, ""))))
    assert bad(found) == {("note", "other-key"), ("note", "no-key")}
    assert [each.data for each in found] == [{"nodes": 3, "fingerprint": "a b c d"}, {"nodes": 1, "fingerprint": None}]
    assert found[0].text.startswith("3 nodes here use a key you do not have (fingerprint: a b c d): neither side")
    assert all("ipcpy key show" in each.advice[0] for each in found)


def test_a_name_that_was_asked_for():
    (found,) = judge_name(NameFacts("robot7", None, ()), "the command")
    assert "Or write its address, such as 10.0.0.7, in the command." in found.advice


def test_other_domains():
    found = list(judge_strangers([("10.0.0.2", ""), ("10.0.0.3", ""), ("10.0.0.3", "default")], "lab"))
    assert bad(found) == {("note", "other-domain")}
    assert found[0].text.startswith("There are 2 hosts in another domain, heard at 10.0.0.2, 10.0.0.3")
    assert found[1].advice == ("If they should meet:  export IPCPY_DOMAIN=default",)
    assert bad(judge_strangers([], "lab")) == set()


def test_a_crowd_of_strangers_is_named_in_part():
    (found,) = judge_strangers([(f"10.0.0.{n}", "") for n in range(1, 9)], "lab")
    assert "There are 8 hosts in another domain, heard at 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, ..." in (
        found.text
    )
    assert len(found.data["addresses"]) == 8
