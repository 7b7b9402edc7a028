"""Large files, which the client sends and reads in parts."""

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.store.artifact import http_artifact_repo
from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository
from mlflow.utils.request_utils import download_chunk

PART = 1_000_000


@pytest.fixture
def parts(monkeypatch):
    """Files from 2 MB on go in parts of one; gives the numbers of those that were sent."""
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", str(2 * PART))
    monkeypatch.setenv("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", str(PART))
    sent = []
    upload = HttpArtifactRepository._upload_part

    def noted(credential, local_file, size, start_byte):
        sent.append(credential.part_number)
        return upload(credential, local_file, size, start_byte)

    monkeypatch.setattr(HttpArtifactRepository, "_upload_part", staticmethod(noted))
    return sent


def large(tmp_path, size=5 * PART + 12_345):
    file = tmp_path / "große Datei.bin"
    file.write_bytes(np.random.default_rng(7).bytes(size))
    return file


def test_a_large_file_goes_in_parts_and_comes_whole(tracking, tmp_path, parts):
    file = large(tmp_path)
    small = tmp_path / "small.txt"
    small.write_text("small")
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(file), "data/deep")
        mlflow.log_artifact(str(small), "data/deep")
    assert sorted(parts) == [1, 2, 3, 4, 5, 6], "and the small one in one piece"
    got = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=f"data/deep/{file.name}", dst_path=tmp_path / "got")
    assert open(got, "rb").read() == file.read_bytes()
    listed = {entry.path: entry.file_size for entry in tracking.list_artifacts(run.info.run_id, "data/deep")}
    assert listed == {f"data/deep/{file.name}": file.stat().st_size, "data/deep/small.txt": 5}


def test_a_model_with_a_large_file_is_logged_and_registered(tracking, tmp_path, parts):
    file = large(tmp_path)

    class Constant(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input: list[str]) -> list[str]:
            return model_input

    with mlflow.start_run():
        mlflow.pyfunc.log_model(
            name="constant",
            python_model=Constant(),
            artifacts={"weights": str(file)},
            pip_requirements=[],
            registered_model_name="constant",
        )
    assert len(parts) == 6
    version = tracking.get_model_version("constant", "1")
    got = mlflow.artifacts.download_artifacts(f"models:/constant/{version.version}", dst_path=tmp_path / "got")
    [weights] = list((tmp_path / "got").rglob(file.name))
    assert weights.read_bytes() == file.read_bytes() and got


def test_an_upload_that_fails_leaves_nothing(tracking, tmp_path, parts, monkeypatch):
    file = large(tmp_path)
    upload = HttpArtifactRepository._upload_part

    def failing(credential, local_file, size, start_byte):
        if credential.part_number == 3:
            raise MlflowException("the wire broke")
        return upload(credential, local_file, size, start_byte)

    with mlflow.start_run() as run:
        with monkeypatch.context() as broken:
            broken.setattr(HttpArtifactRepository, "_upload_part", staticmethod(failing))
            with pytest.raises(MlflowException):
                mlflow.log_artifact(str(file))
        assert tracking.list_artifacts(run.info.run_id) == []
        mlflow.log_artifact(str(file))
    assert [entry.path for entry in tracking.list_artifacts(run.info.run_id)] == [file.name]


def test_a_large_file_goes_below_the_address_of_a_workspace(server, administrator, tmp_path, parts, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", administrator)
    mlflow.set_tracking_uri(server.url)
    mlflow.create_workspace("uploads", "Where large files go")
    file = large(tmp_path)
    mlflow.set_tracking_uri(f"{server.url}/w/uploads")
    mlflow.set_experiment("large")
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(file))
    assert len(parts) == 6
    got = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=file.name, dst_path=tmp_path / "got")
    assert open(got, "rb").read() == file.read_bytes()


def test_a_file_is_read_in_parts(tracking, tmp_path, monkeypatch):
    file = large(tmp_path)
    (tmp_path / "empty").touch()
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(file), "data/deep")
        mlflow.log_artifact(str(tmp_path / "empty"), "data")
    ranges = []
    monkeypatch.setenv("MLFLOW_MULTIPART_DOWNLOAD_CHUNK_SIZE", str(PART))
    monkeypatch.setattr(http_artifact_repo, "download_chunk", lambda **part: ranges.append(part["range_start"]) or download_chunk(**part))
    got = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="data", dst_path=tmp_path / "got")
    assert (tmp_path / "got" / "data" / "deep" / file.name).read_bytes() == file.read_bytes(), got
    assert (tmp_path / "got" / "data" / "empty").read_bytes() == b""
    assert sorted(ranges) == [PART * part for part in range(6)]
