"""Spatial Forcing: pulling a policy's visual tokens towards a frozen 3-D teacher's features.

Source: Li et al., "Spatial Forcing: Implicit Spatial Representation Alignment for
Vision-Language-Action Model" (arXiv 2510.12276); details of the public code are cited where used.
"""
