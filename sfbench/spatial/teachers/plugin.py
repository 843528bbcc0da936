"""Entry points of the teachers."""

from sfbench.registry import TeacherPlugin

_HERE = "sfbench.spatial.teachers"

VGGT = TeacherPlugin(
    name="vggt",
    version="1",
    summary="VGGT-1B: all views of a moment together, a 3-D foundation model",
    factory=f"{_HERE}.vggt:make_vggt",
    config=f"{_HERE}.config:VggtTeacherConfig",
)
VGGT_MINI = TeacherPlugin(
    name="vggt_mini",
    version="1",
    summary="the same code, small; weights from teacher.checkpoint=FOLDER",
    factory=f"{_HERE}.vggt:make_vggt_mini",
    config=f"{_HERE}.config:VggtMiniTeacherConfig",
)
POINTMAP = TeacherPlugin(
    name="pointmap",
    version="1",
    summary="an oracle: the true 3-D point of every patch; needs demonstrations with depth",
    factory=f"{_HERE}.plain:PointmapTeacher",
    config=f"{_HERE}.config:PointmapTeacherConfig",
)
DINOV2 = TeacherPlugin(
    name="dinov2",
    version="1",
    summary="DINOv2: a 2-D control",
    factory=f"{_HERE}.flat:make_dinov2",
    config=f"{_HERE}.config:Dinov2TeacherConfig",
)
SIGLIP = TeacherPlugin(
    name="siglip",
    version="1",
    summary="SigLIP: a 2-D control",
    factory=f"{_HERE}.flat:make_siglip",
    config=f"{_HERE}.config:SiglipTeacherConfig",
)
RANDOM = TeacherPlugin(
    name="random",
    version="1",
    summary="frozen random features of each patch: a null control",
    factory=f"{_HERE}.plain:RandomTeacher",
    config=f"{_HERE}.config:RandomTeacherConfig",
)
