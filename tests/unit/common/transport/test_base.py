from __future__ import annotations

from fanlight.common.transport.base import report_every_s
from fanlight.producer import stats


def test_a_viewer_of_a_hub_reports_less_often_and_before_it_is_forgotten() -> None:
    forgotten_s = stats._REPORT_LIFETIME_NS / 1e9
    assert report_every_s(True) < report_every_s(False) < forgotten_s
