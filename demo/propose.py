"""Step 5: requests promotion, when the param `promote` names an environment. People decide."""

import json
import os
from pathlib import Path

import requests


def comment(scores):
    """Why the version should go there, for whoever decides."""
    metrics = scores["metrics"]
    text = f"Accuracy {metrics['accuracy']:.4f} on samples of the instrument {os.environ['PARAM_INSTRUMENT']}"
    if scores["champion"]:
        text += f"; {scores['champion']} has {metrics['champion_accuracy']:.4f} on the same"
    return f"{text}."


def main():
    environment = os.environ["PARAM_PROMOTE"]
    if not environment:
        print("the param promote is empty: nobody is asked")
        return
    version = json.loads(Path(os.environ["INPUT_VERSION"]).read_text())
    scores = json.loads(Path(os.environ["INPUT_SCORES"]).read_text())
    response = requests.post(
        f"{os.environ['SLIPWAY_URL']}/api/v1/promotions",
        headers={"Authorization": f"Bearer {os.environ['SLIPWAY_TOKEN']}"},
        json={
            "model": version["model"],
            "version": version["version"],
            "environment": environment,
            "comment": comment(scores),
        },
        timeout=60,
    )
    answer = response.json()
    if response.status_code == 409:
        # A try before this one asked already, and did not live to tell.
        print(answer["detail"])
        return
    if not response.ok:
        raise SystemExit(f"The promotion was refused: {answer.get('detail', response.reason)}")
    print(f"requested promotion #{answer['number']} of {version['model']} v{version['version']} to {environment}")


if __name__ == "__main__":
    main()
