"""Strop's search in an Optuna study: the objective stays as it is, only the sampler is another.

    pip install optuna scikit-learn
    python examples/tune/optuna_study.py

The space is define-by-run and conditional; the study is kept in a file, so that a second run goes on where this ended.
"""

import argparse

import optuna
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

from strop.tune.integrations import OptunaSampler


def objective(trial: optuna.Trial) -> float:
    data, digit = load_digits(return_X_y=True)
    if trial.suggest_categorical("model", ["svc", "forest"]) == "svc":
        model = SVC(C=trial.suggest_float("C", 1e-2, 1e3, log=True),
                    gamma=trial.suggest_float("gamma", 1e-6, 1, log=True))
    else:
        model = RandomForestClassifier(trial.suggest_int("trees", 5, 50, log=True), random_state=0,
                                       max_depth=trial.suggest_int("depth", 2, 16))
    return cross_val_score(model, data[:900], digit[:900], cv=3).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--storage", help="as sqlite:///digits.db")
    arguments = parser.parse_args()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=OptunaSampler(seed=0), storage=arguments.storage,
                                study_name="digits", load_if_exists=True)
    study.optimize(objective, n_trials=arguments.trials)
    print(f"best of {len(study.trials)} trials: accuracy {study.best_value:.4f} with {study.best_params}")


if __name__ == "__main__":
    main()
