"""The real trainings that tables record: scikit-learn's models on its own data sets and on Fashion-MNIST.

Lower values are better; a training that diverges is as good as guessing. The last parameter of a space (`last`) costs
no training of its own: it is how far the same training has come (epochs, trees) or what is solved along with it.
A training therefore yields one value for each of the last parameter's.
"""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import SGDClassifier
from sklearn.metrics.pairwise import pairwise_distances, pairwise_kernels
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

FASHION = Path(__file__).resolve().parents[2] / "build/data/fashion"


@dataclass(frozen=True)
class Training:
    metric: str
    space: list
    train: Callable[[dict], Iterator[float]]  # of the actual numbers, without the last parameter

    @property
    def last(self):
        return self.space[-1]


def steps(name, at, **when):
    at = [number if isinstance(number, int) else float(f"{number:.4g}") for number in at]
    return {"name": name, "type": "int", "low": 0, "high": len(at) - 1, "at": at} | ({"when": when} if when else {})


def choice(name, values, **when):
    return {"name": name, "type": "choice", "values": values} | ({"when": when} if when else {})


def log(low, high, count):
    return np.geomspace(low, high, count).tolist()


def log_loss(labels, probabilities):
    """Of rows of probabilities; no more than that of guessing, so that a diverged training is finite."""
    classes = probabilities.shape[1]
    chosen = probabilities[np.arange(len(labels)), labels]
    loss = -np.log(np.clip(np.nan_to_num(chosen, nan=0.0), 1e-15, 1)).mean()
    return float(min(loss, math.log(classes)))


@cache
def digits():
    x, y = datasets.load_digits(return_X_y=True)
    return train_test_split(x, y, train_size=600, random_state=0, stratify=y)


@cache
def cancer():
    x, y = datasets.load_breast_cancer(return_X_y=True)
    return train_test_split(x, y, train_size=0.5, random_state=0, stratify=y)


@cache
def folds(name, splitter, count):
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    made = []
    for fit, validate in splitter(count, shuffle=True, random_state=0).split(x, y):
        scaler = StandardScaler().fit(x[fit])
        made.append((scaler.transform(x[fit]), scaler.transform(x[validate]), y[fit], y[validate]))
    return made


@cache
def fashion():
    """2,000 images to train and 2,000 to validate, 14x14 pixels (means of four) from 0 to 1."""
    import pyarrow.parquet as parquet

    made = []
    for name in ("train", "test"):
        table = parquet.read_table(FASHION / f"{name}.parquet").slice(0, 2000)
        pixels = np.frombuffer(b"".join(table["image"].to_pylist()), np.uint8).reshape(-1, 14, 2, 14, 2)
        made.append((pixels.mean((2, 4)).reshape(-1, 196) / 255, table["label"].to_numpy()))
    (x, y), (x_validation, y_validation) = made
    return x, x_validation, y, y_validation


@cache
def centred(name):
    x, x_validation, y, y_validation = globals()[name]()
    scaler = StandardScaler().fit(x)
    return scaler.transform(x), scaler.transform(x_validation), y, y_validation


def svm_digits(params):
    x, x_validation, y, y_validation = centred("digits") if params["scale"] else digits()
    spread = 1 / (x.shape[1] * x.var())
    options = {"kernel": params["kernel"]}
    if params["kernel"] == "rbf":
        options["gamma"] = params["rbf_gamma"] * spread
    if params["kernel"] == "poly":
        options |= {"degree": params["degree"], "gamma": params["poly_gamma"] * spread, "coef0": params["coef0"]}
    for c in SVM_COSTS:
        model = SVC(C=c, max_iter=20000, **options).fit(x, y)
        yield float(np.mean(model.predict(x_validation) != y_validation))


SVM_COSTS = log(1e-2, 1e3, 11)
SVM_SPACE = [
    choice("scale", [False, True]), choice("kernel", ["linear", "rbf", "poly"]),
    steps("rbf_gamma", log(1e-2, 1e2, 17), kernel="rbf"), steps("degree", [2, 3, 4, 5], kernel="poly"),
    steps("poly_gamma", log(1e-1, 1e1, 5), kernel="poly"), steps("coef0", [0.0, 0.5, 1.0], kernel="poly"),
    steps("c", SVM_COSTS),
]


def boost_cancer(params):
    x, x_validation, y, y_validation = cancer()
    model = GradientBoostingClassifier(warm_start=True, random_state=0, **params)
    for trees in BOOST_TREES:
        model.set_params(n_estimators=trees).fit(x, y)
        yield log_loss(y_validation, model.predict_proba(x_validation))


BOOST_TREES = [8, 16, 32, 64, 128]
BOOST_SPACE = [
    steps("learning_rate", log(0.01, 1, 9)), steps("max_depth", [1, 2, 3, 4, 5, 6]),
    steps("subsample", [0.25, 0.5, 0.75, 1.0]), steps("max_features", log(0.05, 1, 4)),
    steps("n_estimators", BOOST_TREES),
]


def forest_diabetes(params):
    options = {name: value for name, value in params.items() if name not in ("draw", "max_samples")}
    options |= {"bootstrap": params["draw"] == "bootstrap", "max_samples": params.get("max_samples")}
    models = [RandomForestRegressor(warm_start=True, random_state=0, **options) for _ in range(2)]
    for trees in FOREST_TREES:
        errors = [np.mean((model.set_params(n_estimators=trees).fit(x, y).predict(x_validation) - y_validation) ** 2)
                  for model, (x, x_validation, y, y_validation) in zip(models, folds("diabetes", KFold, 2))]
        yield float(np.sqrt(np.mean(errors)))


FOREST_TREES = [2, 4, 8, 16, 32]
FOREST_SPACE = [
    steps("max_depth", [1, 2, 3, 4, 6, 8, 12]), steps("min_samples_leaf", [1, 2, 4, 8, 16, 32]),
    steps("max_features", log(0.1, 1, 6)), choice("draw", ["all", "bootstrap"]),
    steps("max_samples", log(0.1, 0.999, 4), draw="bootstrap"), steps("n_estimators", FOREST_TREES),
]


def mlp_fashion(params):
    x, x_validation, y, y_validation = centred("fashion")
    options = {"momentum": params["momentum"]} if params["solver"] == "sgd" else {}
    model = MLPClassifier((params["width"],) * params["layers"], activation=params["activation"],
                          solver=params["solver"], alpha=params["alpha"], batch_size=params["batch"],
                          learning_rate_init=params["learning_rate"], random_state=0, **options)
    lost = False
    for epoch in range(1, MLP_EPOCHS[-1] + 1):
        try:
            lost = lost or not model.partial_fit(x, y, classes=np.arange(10)) or not math.isfinite(model.loss_)
        except ValueError:  # the weights are not finite any more
            lost = True
        if epoch in MLP_EPOCHS:
            yield math.log(10) if lost else log_loss(y_validation, model.predict_proba(x_validation))


MLP_EPOCHS = [2, 4, 8]
MLP_SPACE = [
    steps("layers", [1, 2]), steps("width", [16, 32, 64, 128]), steps("learning_rate", log(1e-4, 1e-1, 7)),
    steps("batch", [32, 128, 512]), choice("activation", ["relu", "tanh"]), steps("alpha", log(1e-4, 1, 3)),
    choice("solver", ["adam", "sgd"]), steps("momentum", [0.0, 0.5, 0.9], solver="sgd"),
    steps("epochs", MLP_EPOCHS),
]


@cache
def components(count, whiten):
    x, x_validation, _, _ = fashion()
    pca = PCA(count, whiten=whiten, random_state=0).fit(x)
    return pca.transform(x), pca.transform(x_validation)


@cache
def neighbours(count, whiten, metric):
    """Labels and distances of each validation image's nearest, nearest first."""
    x, x_validation = components(count, whiten)
    distances = pairwise_distances(x_validation, x, metric=metric)
    nearest = np.argsort(distances, axis=1)[:, :KNN_COUNTS[-1]]
    return fashion()[2][nearest], np.take_along_axis(distances, nearest, axis=1)


def knn_fashion(params):
    labels, distances = neighbours(params["components"], params["whiten"], params["metric"])
    weights = np.ones(distances.shape)
    if params["weights"] == "distance":
        weights = (distances / distances[:, :1].clip(1e-9) + 1e-9) ** -params["power"]
    for count in KNN_COUNTS:
        votes = np.stack([(weights[:, :count] * (labels[:, :count] == one)).sum(1) for one in range(10)], axis=1)
        # Laplace's rule: k neighbours of one class are no proof that there is no other.
        votes = votes * count / votes.sum(1, keepdims=True) + 0.1
        yield log_loss(fashion()[3], votes / votes.sum(1, keepdims=True))


KNN_COUNTS = [1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64]
KNN_SPACE = [
    steps("components", [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96]), choice("whiten", [False, True]),
    choice("metric", ["euclidean", "manhattan", "cosine", "chebyshev"]), choice("weights", ["uniform", "distance"]),
    steps("power", [0.5, 1.0, 2.0, 4.0, 8.0], weights="distance"), steps("neighbours", KNN_COUNTS),
]


def ridge_diabetes(params):
    """Kernel ridge regression, solved for every penalty from one eigendecomposition a fold."""
    kernel = params["kernel"]
    options = {"gamma": params[f"{kernel}_gamma"]} if kernel in ("rbf", "laplacian") else {}
    if kernel == "polynomial":
        options = {"degree": params["degree"], "gamma": params["polynomial_gamma"], "coef0": params["coef0"]}
    solved = []
    for x, x_validation, y, y_validation in folds("diabetes", KFold, 4):
        values, vectors = np.linalg.eigh(pairwise_kernels(x, metric=kernel, **options))
        solved.append((values, vectors.T @ (y - y.mean()), pairwise_kernels(x_validation, x, metric=kernel, **options)
                       @ vectors, y_validation - y.mean()))
    for alpha in RIDGE_ALPHAS:
        errors = [np.mean((basis @ (projected / (values.clip(0) + alpha)) - rest) ** 2)
                  for values, projected, basis, rest in solved]
        yield float(min(np.sqrt(np.mean(errors)), 1000))


RIDGE_ALPHAS = log(1e-4, 1e3, 15)
RIDGE_SPACE = [
    choice("kernel", ["linear", "rbf", "laplacian", "polynomial"]), steps("rbf_gamma", log(1e-4, 1, 25), kernel="rbf"),
    steps("laplacian_gamma", log(1e-4, 1, 25), kernel="laplacian"), steps("degree", [2, 3, 4], kernel="polynomial"),
    steps("polynomial_gamma", log(1e-3, 1, 10), kernel="polynomial"),
    steps("coef0", [0.0, 0.5, 1.0, 2.0], kernel="polynomial"), steps("alpha", RIDGE_ALPHAS),
]


def sgd_model(params):
    options = {name: value for name, value in params.items() if name in ("l1_ratio", "power_t")}
    return SGDClassifier(loss=params["loss"], penalty=params["penalty"], alpha=params["alpha"], eta0=params["eta0"],
                         learning_rate=params["schedule"], average=params["average"], random_state=0, **options)


def sgd_epochs(params, epochs, parts):
    """The mean log loss of linear models, one a part of the data, after so many epochs."""
    models = [sgd_model(params) for _ in parts]
    for epoch in range(1, epochs[-1] + 1):
        for model, (x, _, y, _) in zip(models, parts):
            model.partial_fit(x, y, classes=np.unique(y))
        if epoch in epochs:
            yield float(np.mean([log_loss(y_validation, model.predict_proba(x_validation))
                                 for model, (_, x_validation, _, y_validation) in zip(models, parts)]))


def sgd_wine(params):
    return sgd_epochs(params, WINE_EPOCHS, folds("wine", StratifiedKFold, 3))


def sgd_fashion(params):
    return sgd_epochs(params, FASHION_EPOCHS, [centred("fashion")])


def sgd_space(alphas, rates, epochs):
    return [
        choice("loss", ["log_loss", "modified_huber"]), choice("penalty", ["l2", "l1", "elasticnet"]),
        steps("l1_ratio", [0.1, 0.5, 0.9], penalty="elasticnet"), steps("alpha", alphas), steps("eta0", rates),
        choice("schedule", ["constant", "invscaling"]), steps("power_t", [0.1, 0.25, 0.5], schedule="invscaling"),
        choice("average", [False, True]), steps("epochs", epochs),
    ]


WINE_EPOCHS = [2, 4, 8, 16]
FASHION_EPOCHS = [1, 2, 4]
TRAININGS = {
    "boost_cancer": Training("log loss", BOOST_SPACE, boost_cancer),
    "forest_diabetes": Training("root mean square error", FOREST_SPACE, forest_diabetes),
    "knn_fashion": Training("log loss", KNN_SPACE, knn_fashion),
    "mlp_fashion": Training("log loss", MLP_SPACE, mlp_fashion),
    "ridge_diabetes": Training("root mean square error", RIDGE_SPACE, ridge_diabetes),
    "sgd_fashion": Training("log loss", sgd_space(log(1e-5, 1e-1, 4), log(1e-5, 1e-1, 5), FASHION_EPOCHS), sgd_fashion),
    "sgd_wine": Training("log loss", sgd_space(log(1e-5, 1, 6), log(1e-4, 1, 7), WINE_EPOCHS), sgd_wine),
    "svm_digits": Training("error", SVM_SPACE, svm_digits),
}
warnings.simplefilter("ignore")  # trainings that do not converge are part of a table
