"""The quiet tenant's latency over time as SVG: a row a shape, a column a proxy; p50, p99 and the longest of
every 50 ms, on a logarithmic scale, with the time of the attack shaded."""
import math
from xml.sax.saxutils import escape

bin_ns = 50_000_000
least_ms, most_ms = 0.1, 1000
width, height, left, top, gap = 380, 110, 46, 44, 34
lines = (("max", "#e0a0a0"), ("p99", "#c03030"), ("p50", "#205090"))


def timeline(requests, begun, alone_until, attacked, until):
    """Bins of [p50, p99, longest] in ms, None where nothing was asked; seconds of what happened."""
    if not requests:
        return {"bins": [], "marks": []}
    bins = [[] for _ in range((requests[-1][0] - begun) // bin_ns + 1)]
    for planned, ms, _ in requests:
        if planned >= begun:
            bins[(planned - begun) // bin_ns].append(ms)
    summed = []
    for took in bins:
        took.sort()
        summed.append([round(took[int(len(took) * share)], 3) for share in (0.5, 0.99)] + [round(took[-1], 3)] if took else None)
    return {"bins": summed, "marks": [round((at - begun) / 1e9, 2) for at in (alone_until, attacked, until)]}


def height_of(ms):
    share = math.log(min(max(ms, least_ms), most_ms) / least_ms) / math.log(most_ms / least_ms)
    return round(height * (1 - share), 1)


def panel(x, y, title, drawn, seconds):
    bins, (begin, under, end) = drawn["bins"], drawn["marks"]

    def at(s):
        return round(s / seconds * width, 1)
    out = [f'<g transform="translate({x},{y})"><text y="-5">{escape(title)}</text>',
           f'<rect x="{at(begin)}" width="{at(under - begin)}" height="{height}" fill="#f4f0e8"/>',
           f'<rect x="{at(under)}" width="{at(end - under)}" height="{height}" fill="#e8e4d4"/>']
    for ms in (1, 10, 100):
        out.append(f'<path d="M0 {height_of(ms)}H{width}" stroke="#ccc"/>')
    for index, (_, colour) in reversed(list(enumerate(reversed(lines)))):
        points = " ".join(f"{at((i + 0.5) * bin_ns / 1e9):g},{height_of(one[index]):g}" for i, one in enumerate(bins) if one)
        out.append(f'<polyline points="{points}" stroke="{colour}"/>')
    return "".join(out) + f'<rect width="{width}" height="{height}" stroke="#888" fill="none"/></g>'


def svg(shapes, proxies):
    """`shapes`: {title: {proxy: [rows]}}; the round with the middle p99 is drawn."""
    drawn = {}
    for title, rows in shapes.items():
        for name, of in rows.items():
            drawn[title, name] = sorted(of, key=lambda row: row["under"]["p99_ms"])[len(of) // 2]["timeline"]
    seconds = max(len(one["bins"]) for one in drawn.values()) * bin_ns / 1e9
    total_width, total_height = left + len(proxies) * (width + 14), top + len(shapes) * (height + gap) + 6
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{total_width}" height="{total_height}" font-family="sans-serif" font-size="11">',
           '<style>polyline{fill:none;stroke-width:1}</style>', f'<rect width="{total_width}" height="{total_height}" fill="#fff"/>',
           f'<text x="{left}" y="16" font-size="13">A tenant at 500 requests a second, {bin_ns // 1_000_000} ms a step, {seconds:.0f} s; '
           'dark: the neighbour\'s attack, light: its beginning.</text>']
    for number, (name, colour) in enumerate(lines):
        out.append(f'<text x="{total_width - 160 + number * 50}" y="16" fill="{colour}" font-weight="bold">{name}</text>')
    for row, title in enumerate(shapes):
        y = top + row * (height + gap)
        for ms in (1, 10, 100):
            out.append(f'<text x="{left - 4}" y="{y + height_of(ms) + 4}" text-anchor="end">{ms} ms</text>')
        for column, name in enumerate(proxies):
            if (title, name) in drawn:
                out.append(panel(left + column * (width + 14), y, f"{name}: {title}", drawn[title, name], seconds))
    return "\n".join(out) + "\n</svg>\n"
