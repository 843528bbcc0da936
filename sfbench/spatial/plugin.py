"""Entry point of the method."""

from sfbench.registry import AlignmentPlugin

SF = AlignmentPlugin(
    name="sf",
    version="1",
    summary="Spatial Forcing: cosine to a frozen teacher's features, at one layer",
    factory="sfbench.spatial.running:make_forcing",
    config="sfbench.spatial.settings:AlignSettings",
)
