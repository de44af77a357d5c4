"""What a study is looked at with: parameter importance, the report's page in a browser, CSV."""

import csv
import json
import math
import re
import shutil
import subprocess

import pyarrow.csv
import pytest

import strop
from strop.tune import Choice, Float, Int, Space, Study

HOSTILE = '</script><script>document.title="broken"</script>'


def study_of(trials, direction="minimize", **options):
    space = Space({"rate": Float(1e-4, 1, log=True), "layers": Int(1, 8), "opt": Choice(["sgd", "adam"]),
                   "momentum": Float(0, 0.99, when={"opt": "sgd"}), HOSTILE: Choice([True, False])})
    study = Study(space, direction=direction, sampler="random", seed=4, study_name=f"of {HOSTILE}", **options)

    def objective(trial):
        if trial.number % 9 == 5:
            raise ValueError('said "no",\nand ended')
        p = trial.params
        loss = math.log10(p["rate"]) ** 2 + p["layers"] / 8 + p.get("momentum", 0)
        if isinstance(direction, str):
            return loss
        trial.set_constraint("small", p["layers"] - 7)
        return (loss, p["layers"], -math.log(p["rate"]))[:len(direction)]

    study.optimize(objective, n_trials=trials, catch=(ValueError,))
    return study


def test_importances_are_ordered_shares():
    study = study_of(80)
    shares = study.importances()
    assert list(shares)[0] == "rate" and shares["rate"] > 0.6 and sum(shares.values()) <= 1 + 1e-9
    assert set(shares) == {"rate", "layers", "opt", "momentum", HOSTILE}
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert list(study_of(60, ["minimize", "minimize"]).importances(objective=1))[0] == "layers"
    with pytest.raises(strop.InvalidArgument, match="objective 1: the study has 1"):
        study.importances(1)
    with pytest.raises(strop.FailedPrecondition, match="2 trials have a value: at least 4 are needed"):
        study_of(2).importances()


def test_csv_reads_back_as_the_arrow_table(tmp_path):
    study = study_of(20)
    path = tmp_path / "sub" / "trials.csv"
    study.to_csv(path)
    table = study.to_arrow()
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False,
                                         column_types={name: table.schema.field(name).type for name in table.column_names})
    read = pyarrow.csv.read_csv(path, parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
                                convert_options=options)
    assert read.equals(table)
    rows = list(csv.DictReader(path.open(newline="")))
    assert rows[5]["error"] == 'ValueError: said "no", and ended' and rows[5]["value"] == ""
    assert [float(row["params_rate"]) for row in rows] == table["params_rate"].to_pylist()


def page_data(path):
    return json.loads(re.search(r'id="study">(.*)</script>', path.read_text()).group(1))


def test_report_holds_every_trial(tmp_path):
    study = study_of(12)
    study.save_report(tmp_path / "report.html")
    data = page_data(tmp_path / "report.html")
    assert data["name"] == f"of {HOSTILE}" and data["objectives"][0]["name"] == "value"
    assert [t["params"] for t in data["trials"]] == [t.params for t in study.trials]
    assert data["front"] == [study.best_trial.number]
    assert {i["parameter"]: i["share"] for i in data["objectives"][0]["importances"]} == study.importances()
    with pytest.raises(strop.Error, match="none"):
        study.save_report("/proc/none/report.html")


def test_results_from_the_command_line(strop_bin, tmp_path):
    (tmp_path / "strop.toml").write_text(
        '[train]\ncommand = ["sh", "-c", "echo loss={x}"]\n[tune]\nmetric = "loss"\ntrials = 5\n'
        '[tune.space.x]\ntype = "float"\nlow = 0\nhigh = 1\n')

    def tune(*arguments):
        return subprocess.run([strop_bin / "strop-tune", *arguments], capture_output=True, text=True, cwd=tmp_path)

    early = tune("--report", "report.html")
    assert early.returncode == 1 and 'study "study" is not in' in early.stderr and not (tmp_path / "report.html").exists()
    assert not (tmp_path / ".strop").exists()  # looking makes nothing
    assert tune().returncode == 0
    run = tune("--report", "report.html", "--csv", "trials.csv", "--json")
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {"trials": 5, "report": "report.html", "csv": "trials.csv"}
    data = page_data(tmp_path / "report.html")
    assert data["objectives"][0]["name"] == "loss" and len(data["trials"]) == 5
    rows = list(csv.DictReader((tmp_path / "trials.csv").open(newline="")))
    assert [float(row["params_x"]) for row in rows] == [float(row["value"]) for row in rows] and len(rows) == 5
    for wrong in (["--csv", "a.csv", "--final", "-o", "m.onnx"], ["--report", "a.html", "--", "true"]):
        assert tune(*wrong).returncode == 2


# ---- In a browser ----------------------------------------------------------------------------------------------------

# Acts as a person would once the page is drawn, and leaves what it saw in the title.
PERSON = """<script>
const seen = {};
const shown = () => [...document.querySelectorAll("section")].filter(s => !s.hidden && s.querySelector(".js-plotly-plot"))
  .map(s => s.id);
const texts = selector => [...document.querySelectorAll(selector)].map(e => e.textContent);
seen.plots = shown();
seen.heading = texts("h1")[0];
seen.labels = texts("#parallel .axis-title, #parallel .axis-heading text").filter(t => t);
seen.unread = texts("svg text").filter(t => t.includes("&lt;"));
seen.points = document.querySelectorAll("#history .point").length;
seen.slices = document.querySelectorAll("#slices .subplot.xy, #slices .subplot[class*=x]").length;
seen.bars = document.querySelectorAll("#importance .bars .point").length;
const select = document.querySelector("#objectives select");
select.value = String(select.options.length - 1);
select.onchange();
seen.objective = document.querySelector("#history > div").layout.yaxis.title.text;
const header = [...document.querySelectorAll("#trials th")].find(c => c.textContent === "layers");
const column = () => texts(`#trials tbody td:nth-child(${header.cellIndex + 1})`).map(Number);
header.onclick();
seen.ascending = column();
header.onclick();
seen.descending = column();
seen.errors = texts("#trials td:last-child").filter(t => t).length;
document.title = JSON.stringify(seen);
</script>"""


@pytest.fixture(scope="module")
def browser():
    found = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    assert found, "no Chromium: setup/setup.sh services brings it"

    def look(page, person=PERSON):
        copy = page.with_name("looked-at.html")
        copy.write_text(page.read_text() + person)
        run = subprocess.run(
            [found, "--headless", "--no-sandbox", "--enable-unsafe-swiftshader", "--host-resolver-rules=MAP * ~NOTFOUND",
             "--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom", copy.as_uri()],
            capture_output=True, text=True, timeout=120)
        # Software drawing of WebGL is slow and says so.
        console = [line for line in run.stderr.splitlines() if "CONSOLE" in line and "GL Driver Message" not in line]
        title = re.search(r"<title>(.*)</title>", run.stdout).group(1)
        return run.stdout, console, title

    return look


@pytest.mark.slow
@pytest.mark.parametrize("objectives", [1, 3])
def test_report_is_drawn_without_a_network(browser, tmp_path, objectives):
    study = study_of(40, "minimize" if objectives == 1 else ["minimize", "maximize", "minimize"])
    study.save_report(tmp_path / "report.html")
    page, console, title = browser(tmp_path / "report.html")
    assert console == []
    assert 'class="no-webgl"' not in page
    import html

    seen = json.loads(html.unescape(title))
    done = [t for t in study.trials if t.values]
    assert seen["plots"] == (["pareto"] if objectives > 1 else []) + ["history", "importance", "parallel", "slices"]
    assert seen["heading"] == study.study_name and seen["unread"] == []
    assert seen["points"] == len(done) and seen["bars"] == 5 and seen["slices"] == 5
    assert seen["objective"] == ("value" if objectives == 1 else "value_2")
    layers = sorted(t.params["layers"] for t in study.trials)
    assert seen["ascending"] == layers and seen["descending"] == layers[::-1]
    assert seen["errors"] == len(study.trials) - len(done)


@pytest.mark.slow
@pytest.mark.parametrize("trials", [0, 2])
def test_report_of_a_study_that_has_hardly_begun(browser, tmp_path, trials):
    study = Study(Space({"x": Float(0, 1)}), study_name="young")
    study.optimize(lambda trial: trial.params["x"], n_trials=trials)
    study.save_report(tmp_path / "report.html")
    page, console, title = browser(tmp_path / "report.html", person="")
    assert console == [] and title == "young - strop tune"
    assert page.count('class="js-plotly-plot"') == (4 if trials else 0)
    assert ("at least 4 are needed" in page.split('id="study"')[0]) == (trials > 0)
