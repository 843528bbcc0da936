"""Pretraining of vision and language layers on 2-D questions, with no depth anywhere."""
