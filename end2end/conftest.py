"""What all tests in Python need before MLflow is imported, which looks at these once; and a place on the path for what
they share."""

import os

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
