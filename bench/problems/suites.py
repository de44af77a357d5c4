"""Which problems a tuner is measured on, by name: bbob_f08_5d is a function of BBOB, branches_f08_4 a choice among four of
them (branches.py), any other a recorded table."""

from problems import bbob, branches, tables

TABLES = ["boost_cancer", "forest_diabetes", "knn_fashion", "mlp_fashion", "ridge_diabetes", "sgd_fashion", "sgd_wine",
          "svm_digits"]


def functions(dimension, numbers=bbob.FUNCTIONS):
    return [f"bbob_f{number:02}_{dimension}d" for number in numbers]


def branches_of(count, numbers):
    return [f"branches_f{number:02}_{count}" for number in numbers]


SUITES = {
    # For working on a sampler: minutes.
    "small": [*functions(5, [3, 8, 15, 21]), *functions(10, [2, 17]), "boost_cancer", "mlp_fashion", "sgd_wine",
              "svm_digits"],
    # Ranks against peers: a function of each of BBOB's five groups and one more, two of them in 10 dimensions, and four
    # tables; none of the small suite, which samplers are developed on.
    "standard": [*functions(5, [1, 6, 10, 18]), *functions(10, [12, 23]), "forest_diabetes", "knn_fashion",
                 "ridge_diabetes", "sgd_fashion"],
    # Trials to a quality: every function and every table.
    "all": [*functions(5), *TABLES],
    "bbob5": functions(5), "bbob10": functions(10), "bbob20": functions(20), "tables": TABLES,
}


def load(name):
    if name.startswith("bbob_"):
        function, dimension = name.removeprefix("bbob_f").removesuffix("d").split("_")
        return bbob.load(int(function), int(dimension))
    if name.startswith("branches_f"):
        function, count = name.removeprefix("branches_f").split("_")
        return branches.load(int(function), int(count))
    return tables.load(name).problem()


def names(suite):
    """Of a suite, or of problems with commas between."""
    return SUITES.get(suite) or suite.split(",")
