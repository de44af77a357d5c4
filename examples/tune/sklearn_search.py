"""Strop's search in place of scikit-learn's GridSearchCV: a pipeline whose parameters depend on its classifier.

    pip install scikit-learn
    python examples/tune/sklearn_search.py
"""

import argparse

from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from strop.tune import Choice, Float, Int
from strop.tune.integrations import StropSearchCV


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=25)
    parser.add_argument("--storage", help="a file; a search that was stopped goes on from it")
    arguments = parser.parse_args()

    data, digit = load_digits(return_X_y=True)
    train_x, test_x, train_y, test_y = train_test_split(data, digit, test_size=0.5, random_state=0)
    svc, linear = SVC(), LogisticRegression(max_iter=300)
    space = {
        "reduce__n_components": Int(5, 60),
        "model": Choice([svc, linear]),
        "model__C": Float(1e-3, 1e3, log=True),
        "model__gamma": Float(1e-5, 1, log=True, when={"model": svc}),
    }
    pipeline = Pipeline([("scale", StandardScaler()), ("reduce", PCA(random_state=0)), ("model", svc)])
    search = StropSearchCV(pipeline, space, n_trials=arguments.trials, cv=3, random_state=0, storage=arguments.storage)
    search.fit(train_x, train_y)
    print(f"best of {len(search.cv_results_['params'])} candidates: accuracy {search.best_score_:.4f} in "
          f"cross-validation, {search.score(test_x, test_y):.4f} on the other half, with {search.best_params_}")


if __name__ == "__main__":
    main()
