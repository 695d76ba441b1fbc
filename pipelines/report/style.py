"""How a report looks beyond what all pages share: colours of tasks, maps and boxes, light and dark, wide and narrow."""

from pipelines.page import TASK_COLOURS

_HEAT = (
    ("#f7e3bd", "#f2cc86", "#ecb456", "#e2963c", "#d57636", "#c25434", "#a3352f", "#7c1c2c"),
    ("#33291f", "#54391f", "#7a4c1f", "#a3631f", "#c97f2b", "#e5a244", "#f4c873", "#fdeebc"),
)
_BOXES = (
    ("#c3002f", "#0062b1", "#1f7a33", "#b4530a", "#7c1fa2", "#00695f", "#7a4a1c", "#3a3fb0"),
    ("#ff7b93", "#6db8ff", "#6fd384", "#ffab66", "#d59bf0", "#55cdbf", "#d8a878", "#a3a8ff"),
)
_TASKS = "".join(f".task-{task} {{ background: {colour}; fill: {colour}; }} " for task, colour in TASK_COLOURS.items())


def _scheme(dark: int) -> str:
    heat = "".join(f".heat{level} {{ fill: {colour}; }} " for level, colour in enumerate(_HEAT[dark], 1))
    return heat + "".join(f".phrase.k{n}, .token.k{n} {{ color: {colour}; }} " for n, colour in enumerate(_BOXES[dark]))


_DRAWN = "".join(f".k{n} .box {{ stroke: {colour}; }} " for n, colour in enumerate(_BOXES[0]))

STYLE = f"""
{_TASKS}
{_scheme(0)}
{_DRAWN}
@media (prefers-color-scheme: dark) {{ {_scheme(1)} }}
body {{ max-width: 76rem; }}
h2 {{ font-size: 1.35rem; letter-spacing: -.01em; margin: 3.6rem 0 .4rem; padding-top: .2rem;
  scroll-margin-top: 1rem; }}
h3 {{ font-size: .95rem; margin: 1.4rem 0 .3rem; }} h4 {{ font-size: .85rem; margin: 0 0 .15rem; font-weight: 600; }}
h3 i, h4 i, td.name i {{ display: inline-block; width: .7rem; height: .7rem; border-radius: .2rem;
  margin-right: .45rem; }}
h3 span, h4 span, td.name span {{ color: var(--soft); font-weight: 400; }}
p {{ max-width: 46rem; margin: .3rem 0 .9rem; }}
nav {{ display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: 1.6rem 0 0; font-size: .93rem; }}
a {{ color: inherit; text-decoration-color: var(--soft); text-underline-offset: .2em; }}
.facts {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 1px; margin: 1.6rem 0 .4rem;
  background: var(--line); border: 1px solid var(--line); border-radius: .6rem; overflow: hidden; }}
.facts div {{ background: var(--paper); padding: .7rem .9rem; }}
.facts b {{ display: block; font-size: 1.3rem; letter-spacing: -.01em; font-variant-numeric: tabular-nums; }}
.facts span {{ color: var(--soft); font-size: .85rem; }}
.wide {{ overflow-x: auto; }} .wide table {{ min-width: 40rem; }} td.plot {{ width: 28%; min-width: 8rem; }}
td {{ vertical-align: top; }} td.plot {{ vertical-align: middle; padding-left: .8rem; }}
.wide td.name {{ white-space: nowrap; }} th.n, td.n {{ padding-left: .8rem; }}
.grid {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: .6rem 2rem; }}
.grid > div {{ min-width: 0; }} .grid h3 {{ overflow-wrap: anywhere; }}
.maps {{ display: grid; grid-template-columns: 1fr 1fr 1.4fr; gap: .2rem 1.6rem; align-items: end; }}
.map text {{ font-size: 5px; }} .map .axis {{ font-size: 6px; }} .map path {{ shape-rendering: crispEdges; }}
.frame {{ fill: none; stroke: var(--line); stroke-width: .6; }}
.most {{ list-style: none; margin: 0; padding: 0; font-size: .9rem; }}
.most li {{ display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 0 .8rem; padding: .1rem 0; }}
.most li > .bar {{ grid-column: 1 / -1; height: .22rem; }}
.most span {{ overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }}
.most b {{ font-weight: 400; color: var(--soft); font-variant-numeric: tabular-nums; }}
.filtered {{ background: color-mix(in srgb, var(--soft) 45%, transparent); }}
.terms {{ font-size: .92rem; overflow-wrap: anywhere; }}
.samples {{ columns: 21rem; column-gap: 1.4rem; margin-top: 1rem; }}
.sample {{ break-inside: avoid; border: 1px solid var(--line); border-radius: .6rem; overflow: hidden;
  margin: 0 0 1.4rem; }}
.sample > svg {{ display: block; }} .sample > section, .sample > header {{ padding: .55rem .9rem; }}
.sample > header {{ display: flex; flex-wrap: wrap; gap: 0 .7rem; font-size: .85rem; overflow-wrap: anywhere; }}
.sample > header span {{ color: var(--soft); }} .sample > section {{ border-top: 1px solid var(--line); }}
.box, .halo {{ fill: none; stroke-width: 2.5px; vector-effect: non-scaling-stroke; }}
.halo {{ stroke: #fff; stroke-width: 4.5px; stroke-opacity: .75; }} .sample g:hover .box {{ stroke-width: 5px; }}
.user, .assistant {{ white-space: pre-wrap; overflow-wrap: anywhere; font-size: .92rem; line-height: 1.45; }}
.user {{ color: var(--soft); }} .assistant {{ border-inline-start: 2px solid var(--line);
  padding-inline-start: .6rem; }}
.token {{ display: inline-block; font: .82em ui-monospace, "DejaVu Sans Mono", monospace; }}
.phrase {{ font-weight: 600; }}
.cut {{ color: var(--soft); font-size: .82rem; font-style: italic; margin: .2rem 0; padding: 0 .9rem; }}
section .cut {{ padding: 0; }} .sample > .cut {{ padding: 0 .9rem .6rem; }}
.broken {{ padding: 2.2rem .9rem; text-align: center; color: var(--gone); overflow-wrap: anywhere;
  background: color-mix(in srgb, var(--gone) 10%, transparent); }}
@media (max-width: 44rem) {{
  body {{ padding: 1.4rem 1rem 3rem; }} .maps {{ grid-template-columns: 1fr 1fr; }}
  .maps > :last-child {{ grid-column: 1 / -1; }}
  .wide table {{ min-width: 32rem; }} .wide td.name {{ white-space: normal; min-width: 9rem; }}
  .wide td.name, .wide th:first-child {{ position: sticky; left: 0; background: var(--paper); }}
  .facts div:last-child:nth-child(odd) {{ grid-column: 1 / -1; }}
  .facts {{ grid-template-columns: 1fr 1fr; }} .samples {{ columns: 1; }}
}}
"""
