"""Files of trials and of the study in an artifact store."""

import os
import tempfile

import optuna
from optuna.artifacts import FileSystemArtifactStore, download_artifact, get_all_artifact_meta, upload_artifact

folder = os.environ.setdefault("ARTIFACTS", tempfile.mkdtemp())
store = FileSystemArtifactStore(base_path=folder)


def objective(trial):
    x = trial.suggest_float("x", 0, 1)
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "model.txt")
        with open(path, "w") as file:
            file.write(f"{trial.number}: {x!r}")
        artifact = upload_artifact(artifact_store=store, file_path=path, study_or_trial=trial)
    trial.set_user_attr("artifact", artifact)
    return x


if __name__ == "__main__":
    study = optuna.create_study()
    study.optimize(objective, n_trials=6)
    for trial in study.trials:
        (meta,) = get_all_artifact_meta(trial, storage=study._storage)
        assert meta.artifact_id == trial.user_attrs["artifact"]
        path = os.path.join(folder, "down.txt")
        download_artifact(artifact_store=store, file_path=path, artifact_id=meta.artifact_id)
        with open(path) as file:
            assert file.read() == f"{trial.number}: {trial.params['x']!r}"
        os.remove(path)
    print("artifacts:", len(study.trials))
