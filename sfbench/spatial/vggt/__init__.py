"""VGGT: a network that reads several views of a scene and gives depth, points and cameras.

Source: Wang et al., "VGGT: Visual Geometry Grounded Transformer" (arXiv 2503.11651). Sizes and
constants were read from facebookresearch/vggt; attribute names are those of its published weights.
"""
