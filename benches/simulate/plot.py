"""Lines in panels, as SVG."""
import math
from xml.sax.saxutils import escape

COLOURS = ["#4d4d4d", "#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#e377c2", "#bcbd22", "#7f7f7f", "#aec7e8", "#98df8a", "#ffbb78"]
WIDTH, HEIGHT, LEFT, TOP, GAP, LEGEND = 400, 260, 60, 30, 60, 150


def write(path, panels, y_title, x_title):
    """Two panels a row; `panels` is [(title, {name: [(x, y)]})], both axes logarithmic and the same in all. Points may be
    (x, y, low, high): then a band is drawn too."""
    points = [point[:2] for _, lines in panels for line in lines.values() for point in line]
    xs, ys = [math.log10(x) for x, _ in points], [math.log10(max(y, 1e-4)) for _, y in points]
    (x0, x1), (y0, y1) = (min(xs), max(xs)), (min(ys), max(ys))
    names = list(dict.fromkeys(name for _, lines in panels for name in lines))
    rows = math.ceil(len(panels) / 2)
    wide, high = 2 * (WIDTH + GAP) + LEFT + LEGEND, rows * (HEIGHT + GAP) + TOP + 20
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="12">']
    out.append(f'<rect width="{wide}" height="{high}" fill="white"/>')
    for place, (title, lines) in enumerate(panels):
        left, top = LEFT + place % 2 * (WIDTH + GAP), TOP + place // 2 * (HEIGHT + GAP)
        right = lambda x: left + (math.log10(x) - x0) / (x1 - x0) * WIDTH
        down = lambda y: top + (y1 - math.log10(max(y, 1e-4))) / (y1 - y0) * HEIGHT
        out.append(f'<text x="{left}" y="{top - 8}" font-weight="bold">{escape(title)}</text>')
        out.append(f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#999"/>')
        for tick in ticks(x0, x1):
            out.append(f'<line x1="{right(tick):.1f}" x2="{right(tick):.1f}" y1="{top}" y2="{top + HEIGHT}" stroke="#eee"/>')
            out.append(f'<text x="{right(tick):.1f}" y="{top + HEIGHT + 15}" text-anchor="middle">{tick:g}</text>')
        for tick in ticks(y0, y1):
            out.append(f'<line x1="{left}" x2="{left + WIDTH}" y1="{down(tick):.1f}" y2="{down(tick):.1f}" stroke="#eee"/>')
            out.append(f'<text x="{left - 6}" y="{down(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
        for name, line in lines.items():
            if len(line[0]) == 4:
                edge = [(x, high) for x, _, _, high in line] + [(x, low) for x, _, low, _ in reversed(line)]
                clipped = " ".join(f"{right(x):.1f},{min(max(down(y), top), top + HEIGHT):.1f}" for x, y in edge)
                out.append(f'<polygon points="{clipped}" fill="{colour(names, name)}" fill-opacity="0.12"/>')
            path_of = " ".join(f"{right(x):.1f},{down(y):.1f}" for x, y, *_ in line)
            out.append(f'<polyline points="{path_of}" fill="none" stroke="{colour(names, name)}" stroke-width="1.6"/>')
    for place, name in enumerate(names):
        x, y = wide - LEGEND - 20, TOP + 20 + 20 * place
        out.append(f'<line x1="{x}" x2="{x + 24}" y1="{y - 4}" y2="{y - 4}" stroke="{colour(names, name)}" stroke-width="2"/>')
        out.append(f'<text x="{x + 30}" y="{y}">{escape(name)}</text>')
    out.append(f'<text x="{LEFT}" y="{high - 8}">{escape(x_title)}</text>')
    out.append(f'<text transform="rotate(-90)" x="{-TOP - HEIGHT}" y="14">{escape(y_title)}</text></svg>')
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n")


def ticks(low, high):
    """1, 2 and 5 of each decade between powers of ten."""
    all_of = (step * 10.0**decade for decade in range(math.floor(low), math.ceil(high) + 1) for step in (1, 2, 5))
    return [tick for tick in all_of if low - 1e-9 <= math.log10(tick) <= high + 1e-9]


def colour(names, name):
    return COLOURS[names.index(name) % len(COLOURS)]
