"""The figures as a picture: processor time beyond direct, and requests a second beside direct; and the cost at growing tables."""
import report

COLOURS = {"direct-again": "#999999", "dnat": "#d6b656", "causeway-kernel": "#7fbf7b", "causeway": "#1b7837", "haproxy": "#2166ac", "haproxy-splice": "#92c5de", "envoy": "#b2182b"}


def draw(path, rows, title):
    """`rows` are those of the CSV, for all cases."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    cases = list(dict.fromkeys(row["case"] for row in rows))
    peers = [peer for peer in COLOURS if any(row["peer"] == peer for row in rows)]
    summaries = {(case, peer): report.summary(own) for case in cases
                 for peer, own in report.by_peer([row for row in rows if row["case"] == case]).items()}
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 2 + 0.16 * len(cases) * (len(peers) + 1)), sharey=True)
    height = 0.8 / max(len(peers), 1)
    for peer in peers:
        own, places = [], []
        for place, case in enumerate(cases):
            here = [other for other in peers if (case, other) in summaries]
            if peer in here:
                own.append((place, summaries[case, peer], summaries[case, "direct"]))
                places.append(place + (here.index(peer) - (len(here) - 1) / 2) * height)
        left.barh(places, [s["beyond"] for _, s, _ in own], height, color=COLOURS[peer], label=peer,
                  xerr=[[s["beyond"] - s["low"] for _, s, _ in own], [s["high"] - s["beyond"] for _, s, _ in own]],
                  error_kw={"elinewidth": 0.8})
        right.barh(places, [100 * s["requests_per_second"] / d["requests_per_second"] for _, s, d in own], height, color=COLOURS[peer])
    left.set_yticks(range(len(cases)), cases)
    left.set_ylim(len(cases) - 0.4, -0.6)
    # Answers of 1 MiB take a hundred times the processor time of those of 200 B.
    left.set_xscale("symlog", linthresh=10)
    rounds = max(row["round"] for row in rows)
    left.set_xlabel(f"CPU time beyond direct a request, us (median of rounds; lines: {report.interval_name(rounds)})")
    right.set_xlabel("requests a second, % of direct")
    figure.legend(*left.get_legend_handles_labels(), loc="lower center", ncols=len(peers), fontsize="small")
    for axes in (left, right):
        axes.grid(axis="x", alpha=0.3)
    figure.suptitle(title, fontsize="small")
    inch = 1 / figure.get_figheight()
    figure.tight_layout(rect=(0, 0.25 * inch, 1, 1 - 0.1 * inch))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_scale(path, summaries, title):
    """`summaries` by ((services, endpoints), peer): a line a peer for tables of ten endpoints a service, and one for a single service."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    colours = {"direct": "#333333", **COLOURS}
    figure, panels = plt.subplots(1, 2, figsize=(13, 5), sharey=True)
    sizes = sorted({size for size, _ in summaries})
    for axes, chosen, label in ((panels[0], [size for size in sizes if size[0] > 1 or size[1] <= 10], "services"),
                                (panels[1], [size for size in sizes if size[0] == 1], "endpoints of one service")):
        for peer in colours:
            own = sorted((size[0] if label == "services" else size[1], summaries[size, peer]) for size in chosen if (size, peer) in summaries
                         and (label != "services" or size != (1, 1) or (1, 10) not in chosen))
            if own:
                axes.plot([x for x, _ in own], [s["cpu_us"] for _, s in own], "o-", color=colours[peer], label=peer, linewidth=1)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(label + (", ten endpoints each" if label == "services" else ""))
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("CPU time of a connection, us")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower center", ncols=5, fontsize="small")
    figure.suptitle(title, fontsize="small")
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)
