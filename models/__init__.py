"""Trains the models, exports them to ONNX and evaluates them; `onnx/<name>/` are the published model folders.

Here belongs what needs scikit-learn or onnx, or runs only when a model is made. Not here: scoring
(monsoon.transforms.scoring), which every engine runs with numpy and onnxruntime alone.
"""
