from __future__ import annotations

from fanlight.common.observe.figures import Figure, Figures, Kind, Sample


def test_figures_share_their_labels() -> None:
    figures = Figures("fanlight_x", {"stream": "cam"})
    figures.add("frames_total", Kind.COUNTER, "Frames.", 3)
    figures.add("unknown", Kind.GAUGE, "Left out.", None)
    values: dict[str, float | None] = {"broker": None, "process": 2}
    figures.add_by("place", "queue_frames", Kind.GAUGE, "Waiting.", values)
    assert figures.all() == (
        Figure("fanlight_x_frames_total", Kind.COUNTER, "Frames.", (Sample({"stream": "cam"}, 3),)),
        Figure(
            "fanlight_x_queue_frames",
            Kind.GAUGE,
            "Waiting.",
            (Sample({"stream": "cam", "place": "process"}, 2),),
        ),
    )
