//! Models in memory, answering in the ONNX Runtime.
