"""What the demo measured, as a table of text and as an HTML page with plots."""

import dataclasses
import html
import io
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt


@dataclasses.dataclass
class Measured:
    feed: dict      # of bench/peers/feed_torch.py
    models: dict    # of bench/peers/compress_onnxruntime.py
    world: dict     # of world.py
    events: list    # of strop status
    trials: list    # validation accuracy of each finished trial, in order
    seconds: float  # of the whole demo


@dataclasses.dataclass
class Row:
    what: str
    value: str
    beside: str = ""


def rows(measured: Measured) -> list[Row]:
    world, models = measured.world, measured.models["rows"]
    trials = measured.trials
    entries = measured.feed["entries"]
    ours = next(name for name in entries if name.startswith("strop"))
    lines = [Row("feed, strop from Parquet", f"{entries[ours]['rows_per_second']:,.0f} rows/s")]
    for kind in ("samples", "fetched", "gathered"):
        peer = measured.feed[f"ratio_to_{kind}"]
        lines.append(Row(f"feed, {peer['peer']}", f"{entries[peer['peer']]['rows_per_second']:,.0f} rows/s",
                         f"strop is {peer['ratio']:.2f} times as fast ({peer['low']:.2f} to {peer['high']:.2f})"))
    lines.append(Row(f"tuning, best of {len(trials)} trials", f"{max(trials):.4f}", f"first trial {trials[0]:.4f}"))
    for name, model in models.items():
        lines.append(Row(name, f"accuracy {model['accuracy']:.4f}, {model['bytes'] / 1024:,.0f} KiB",
                         f"{model['ms_batch_1'] * 1e3:,.0f} µs at batch 1, {model['ms_batch_64'] * 1e3:,.0f} µs at batch 64"))
    lines += [
        Row("accuracy before drift", f"{world['accuracy_before']:.4f}", f"{world['false_alarms']} false alarms"),
        Row("accuracy under drift", f"{world['accuracy_under_drift']:.4f}"),
        Row("accuracy retrained", f"{world['accuracy_retrained']:.4f}", f"control {world['accuracy_control']:.4f}"),
        Row("share of the loss that returned", f"{world['share_returned']:.0%}", f"{world['labels']} labels"),
        Row("requests sent", f"{world['requests_sent']:,}",
            f"{world['requests_failed']} failed; {world['requests_failed_in_kill']} while the server was killed"),
        Row("drift to alarm", f"{world['seconds_to_alarm']:.1f} s"),
        Row("drift to swap", f"{world['seconds_to_swap']:.1f} s"),
        Row("bad candidate", world["bad_candidate"]["state"], world["bad_candidate"]["evidence"].get("reason", "")),
        Row("kill -9 to answering again", f"{world['seconds_killed']:.1f} s",
            "with the champion" if world["champion_kept"] else "with another model"),
        Row("the whole demo", f"{measured.seconds:.0f} s"),
    ]
    return lines


def table_text(measured: Measured) -> str:
    lines = rows(measured)
    widths = [max(len(getattr(row, field)) for row in lines) for field in ("what", "value")]
    return "\n".join(f"{row.what:{widths[0]}}  {row.value:{widths[1]}}  {row.beside}".rstrip() for row in lines)


def svg(draw, width: float = 5.2, height: float = 2.6) -> str:
    figure, axes = plt.subplots(figsize=(width, height), layout="constrained")
    draw(axes)
    axes.spines[["top", "right"]].set_visible(False)
    text = io.StringIO()
    figure.savefig(text, format="svg")
    plt.close(figure)
    return text.getvalue()[text.getvalue().index("<svg"):]


def plots(measured: Measured) -> list[tuple[str, str]]:
    world = measured.world

    def trials(axes):
        values = measured.trials
        best = [max(values[:i + 1]) for i in range(len(values))]
        axes.plot(range(1, len(values) + 1), values, "o", label="trial")
        axes.step(range(1, len(values) + 1), best, where="post", label="best so far")
        axes.set(xlabel="trial", ylabel="validation accuracy")
        axes.legend()

    def accuracy(axes):
        names = ["before drift", "under drift", "control", "retrained"]
        values = [world[f"accuracy_{key}"] for key in ("before", "under_drift", "control", "retrained")]
        axes.bar_label(axes.bar(names, values, color=["#4c78a8", "#e45756", "#e45756", "#54a24b"]), fmt="%.3f")
        axes.set(ylabel="accuracy", ylim=(0, 1.1))

    def latency(axes):
        models = measured.models["rows"]
        for offset, batch in enumerate((1, 64)):
            places = [index + 0.4 * offset for index in range(len(models))]
            values = [model[f"ms_batch_{batch}"] * 1e3 / batch for model in models.values()]
            axes.bar_label(axes.bar(places, values, 0.4, label=f"batch {batch}"), fmt="%.0f", fontsize=7)
        axes.set_xticks([index + 0.2 for index in range(len(models))], list(models), rotation=20, ha="right", fontsize=7)
        axes.set(ylabel="µs a row")
        axes.legend()

    return [("Tuning", svg(trials)), ("Accuracy in service", svg(accuracy)), ("Latency, median", svg(latency, 7.5, 3.2))]


def write_html(measured: Measured, path: Path) -> None:
    cells = "\n".join(f"<tr><td>{html.escape(row.what)}<td>{html.escape(row.value)}<td>{html.escape(row.beside)}"
                      for row in rows(measured))
    figures = "\n".join(f"<figure><figcaption>{name}</figcaption>{picture}</figure>" for name, picture in plots(measured))
    start = measured.events[0]["time"] if measured.events else 0
    story = "\n".join(f"<tr><td>{event['time'] - start:.1f} s<td>{event['room']}<td>{event['event']}"
                      f"<td><code>{html.escape(str(event['detail'])[:400])}</code>" for event in measured.events)
    path.write_text(f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Strop: the loop on Fashion-MNIST</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}}
table{{border-collapse:collapse;width:100%}}td{{padding:.25rem .6rem;border-bottom:1px solid #ddd;vertical-align:top}}
figure{{display:inline-block;margin:1rem 1rem 0 0}}figcaption{{font-weight:600}}code{{font-size:12px;word-break:break-all}}</style>
<h1>The loop, closed once on Fashion-MNIST</h1>
<p>Every figure was measured in this run.</p>
<table>{cells}</table>
{figures}
<h2>What happened</h2>
<table>{story}</table>
</html>""")
