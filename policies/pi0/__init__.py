"""π0: PaliGemma, an action expert and flow matching, on transformers' own PI0."""
