"""The model: a small network behind a scaler, and its form for the serving engine."""

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

# Old enough for every engine there is.
OPSET = {"": 18, "ai.onnx.ml": 3}


def fit(x, y, *, seed, epochs, learning_rate, each_epoch=lambda *_: None):
    """Trains, and tells after each epoch its number, the loss and the share of right answers on rows set aside for it.

    Measurements are scaled by their own mean and deviation first, so what unit the instrument uses does not matter.
    """
    x = np.asarray(x, dtype=np.float32)
    y = np.asarray(y, dtype=int)
    scaler = StandardScaler().fit(x)
    network = MLPClassifier(
        hidden_layer_sizes=(16,), learning_rate_init=learning_rate, alpha=0.01, batch_size=32, random_state=seed
    )
    watched = np.random.default_rng(seed).permutation(len(x))[: len(x) // 6]
    learned = np.setdiff1d(np.arange(len(x)), watched)
    scaled = scaler.transform(x)
    for epoch in range(1, epochs + 1):
        network.partial_fit(scaled[learned], y[learned], classes=[0, 1])
        probability = network.predict_proba(scaled[watched])
        each_epoch(
            epoch,
            {
                "train_loss": float(network.loss_),
                "validation_loss": float(log_loss(y[watched], probability, labels=[0, 1])),
                "validation_accuracy": float((probability.argmax(axis=1) == y[watched]).mean()),
            },
        )
    return make_pipeline(scaler, network)


def predict(model, x):
    """Label and probability of malignancy of each row."""
    x = np.asarray(x, dtype=np.float32)
    return {"label": model.predict(x).tolist(), "probability": model.predict_proba(x)[:, 1].astype(float).tolist()}


def to_graph(model, width):
    """The model as ONNX: `measurements` in, `label` and the `probability` of malignancy out, one row each."""
    options = {id(model): {"zipmap": False}}
    onnx_model = to_onnx(
        model, initial_types=[("measurements", FloatTensorType([None, width]))], options=options, target_opset=OPSET
    )
    graph = onnx_model.graph
    # One column instead of one for each class: the other says nothing new.
    of_malignant = numpy_helper.from_array(np.array([1], dtype=np.int64), "of_malignant")
    graph.initializer.append(of_malignant)
    graph.node.append(helper.make_node("Gather", ["probabilities", "of_malignant"], ["probability"], axis=1))
    del graph.output[1]
    graph.output.append(helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, 1]))
    checker.check_model(onnx_model)
    return onnx_model
