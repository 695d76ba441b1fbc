"""How well a model answers: pointing, questions, captions, by the rules that published numbers are made by."""
