from __future__ import annotations

import json

from ipcpy.bridges.books import BridgeStatus, ExportStats, ImportStats

OUT = ExportStats("imu", "robot7/imu", "ab" * 8, "driver", "robot7", True, 5, 500, {"rate": 2, "uplink": 1})
IN = ImportStats("cmd", "robot7/cmd", "cd" * 8, "ui", "home", "home", 1, True, True, 3, 30, 1, {"link": 4})
GONE = ImportStats("cmd", "robot7/cmd", "ef" * 8, "ui", "home", "home", 1, there=False, received=2, missing={"link": 1})
STATUS = BridgeStatus("robot7", "12" * 8, "zenoh", "linked", "tcp/x:1", 1.5, 1, 2, (OUT,), (IN, GONE), {"key": 1})


def test_a_status_is_json() -> None:
    told = json.loads(json.dumps(STATUS.record()))
    assert told["exports"][0]["left_out"] == {"rate": 2, "uplink": 1}
    assert [each["there"] for each in told["imports"]] == [True, False]


def test_a_summary_has_the_sums_and_no_lists() -> None:
    told = STATUS.summary()
    assert "exports" not in told and "imports" not in told
    sums = {name: told[name] for name in ("exported", "imported", "sent", "received", "doubles", "left_out", "missing")}
    assert sums == {
        "exported": 1,
        "imported": 1,
        "sent": 5,
        "received": 5,
        "doubles": 1,
        "left_out": {"rate": 2, "uplink": 1},
        "missing": {"link": 5},
    }
