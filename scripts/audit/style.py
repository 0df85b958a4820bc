"""How the page looks: one style sheet, for screens light and dark and for paper. Data, hence without functions."""

from __future__ import annotations

from typing import Final

__all__ = ["STYLE"]

STYLE: Final = """
:root { color-scheme: light dark;
  --paper: #fff; --ink: #16202b; --soft: #56626f; --line: #d5dbe1; --wash: #f4f6f8; --accent: #1c4f7c;
  --good: #17693f; --good-wash: #e5f3eb; --bad: #a8231c; --bad-wash: #fbe9e7; --open: #855a00; --open-wash: #fdf3dc;
  --c0: #2f6db3; --c1: #b3572f; --c2: #3f8f5a; --c3: #8756b0; --c4: #b08a1e; --c5: #2a95a5; --c6: #b3447c;
  --c7: #6c7785;
}
@media (prefers-color-scheme: dark) { :root {
  --paper: #12181f; --ink: #e7ecf1; --soft: #a3afbb; --line: #35404b; --wash: #1b232c; --accent: #8fc1ee;
  --good: #71cf9b; --good-wash: #143324; --bad: #ff9a90; --bad-wash: #43191a; --open: #f0c15e; --open-wash: #3b2d0c;
  --c0: #74a9e6; --c1: #e69a74; --c2: #7fc998; --c3: #c09be3; --c4: #dcbb5b; --c5: #6fc7d4; --c6: #e58bb8;
  --c7: #a9b4c0;
} }
* { box-sizing: border-box; }
html { font: 16px/1.5 "Source Sans 3", "Segoe UI", "Helvetica Neue", Arial, "Liberation Sans", system-ui,
  sans-serif; }
body { margin: 0; background: var(--paper); color: var(--ink); }
main { max-width: 66rem; margin: 0 auto; padding: 3rem 2rem 4rem; }
h1, h2, h3 { line-height: 1.2; margin: 0; font-weight: 650; letter-spacing: -.01em; }
h1 { font-size: 2.1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin: 3rem 0 .75rem; padding-top: .75rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
p { margin: 0 0 .75rem; max-width: 46rem; }
.kicker { color: var(--accent); font-weight: 650; margin-bottom: .35rem; }
.soft, .note { color: var(--soft); }
.note { font-size: .875rem; }
code, .hash { font: .86em/1.45 "Source Code Pro", ui-monospace, "Cascadia Mono", Menlo, "DejaVu Sans Mono", monospace;
  overflow-wrap: anywhere; }
bdi { overflow-wrap: anywhere; }
.verdict { display: flex; gap: 1.25rem; align-items: center; margin: 1.5rem 0 2rem; padding: 1.1rem 1.4rem;
  border-left: .5rem solid; border-radius: .2rem; break-inside: avoid; }
.verdict p { margin: 0; color: var(--ink); }
.verdict .word { font-size: 1.75rem; font-weight: 700; line-height: 1.15; }
.verdict .sign { font-size: 2.6rem; font-weight: 700; line-height: 1; width: 2.6rem; text-align: center; }
.verdict.verified { color: var(--good); background: var(--good-wash); }
.verdict.refuted { color: var(--bad); background: var(--bad-wash); }
.verdict.undetermined { color: var(--open); background: var(--open-wash); }
.verdict .word { color: inherit; }
dl.facts { display: grid; grid-template-columns: 11rem 1fr; gap: .45rem 1.25rem; margin: 0; }
dl.facts dt { color: var(--soft); } dl.facts dd { margin: 0; overflow-wrap: anywhere; }
table { width: 100%; border-collapse: collapse; font-size: .875rem; line-height: 1.4; }
th { text-align: left; font-weight: 600; color: var(--soft); border-bottom: 1.5px solid var(--ink);
  padding: .35rem .75rem .35rem 0; vertical-align: bottom; }
td { padding: .45rem .75rem .45rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
th:last-child, td:last-child { padding-right: 0; }
td.name { white-space: nowrap; max-width: 14rem; overflow: hidden; text-overflow: ellipsis; }
td.who, td.force { overflow-wrap: break-word; min-width: 6.5rem; } td.force { font-size: .8125rem;
  color: var(--soft); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.time { white-space: nowrap; font-variant-numeric: tabular-nums; }
tr { break-inside: avoid; }
.scroll { overflow-x: auto; }
.state { font-weight: 600; white-space: nowrap; }
.state.verified, .mark.verified { color: var(--good); fill: var(--good); }
.state.refuted, .mark.refuted { color: var(--bad); fill: var(--bad); }
.state.undetermined, .mark.undetermined { color: var(--open); fill: var(--open); }
.state.not-given, .mark.not-given { color: var(--soft); fill: var(--soft); }
.finding { border-left: 4px solid var(--bad); padding: .1rem 0 .1rem 1rem; margin: 0 0 1.1rem; break-inside: avoid; }
.finding.undetermined { border-color: var(--open); }
.finding p { margin: 0 0 .25rem; max-width: none; overflow-wrap: anywhere; }
ul.plain { margin: 0; padding-left: 1.1rem; } ul.plain li { margin: .3rem 0; max-width: 52rem;
  overflow-wrap: anywhere; }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: .12em; margin-right: .45em; }
.c0 { fill: var(--c0); background: var(--c0); } .c1 { fill: var(--c1); background: var(--c1); }
.c2 { fill: var(--c2); background: var(--c2); } .c3 { fill: var(--c3); background: var(--c3); }
.c4 { fill: var(--c4); background: var(--c4); } .c5 { fill: var(--c5); background: var(--c5); }
.c6 { fill: var(--c6); background: var(--c6); } .c7 { fill: var(--c7); background: var(--c7); }
.c-none { fill: var(--line); background: var(--line); }
svg { display: block; } svg text { fill: var(--ink); font-size: 13px; direction: ltr; unicode-bidi: isolate; }
.graph { overflow-x: auto; } .graph svg { max-width: 100%; height: auto; break-inside: avoid; overflow: visible; }
.graph.wide svg { max-width: none; } .graph.small { break-inside: avoid; }
.edge { fill: none; stroke: var(--soft); stroke-width: 1.4; }
.box { fill: var(--wash); stroke: var(--line); }
.node.refuted .box { stroke: var(--bad); stroke-width: 2; } .node.undetermined .box { stroke: var(--open);
  stroke-width: 2; }
.node.not-given .box { fill: none; stroke-dasharray: 5 4; stroke: var(--soft); }
.node.context .box { fill: var(--paper); }
svg .name { font-size: 14px; font-weight: 650; } svg .by { font-size: 12px; fill: var(--soft); }
svg .when { font-size: 12px; fill: var(--soft); } svg .mark { font-size: 17px; font-weight: 700; }
svg .mark.verified { fill: var(--good); } svg .mark.refuted { fill: var(--bad); }
svg .mark.undetermined { fill: var(--open); } svg .mark.not-given { fill: var(--soft); }
table.grants { table-layout: fixed; } table.grants td { padding-top: .35rem; padding-bottom: .35rem; }
table.grants col.who { width: 36%; } table.grants th { padding-bottom: 0; }
table.grants td:last-child, table.grants th:last-child { vertical-align: middle; }
svg.bar { width: 100%; height: auto; overflow: visible; }
.window { fill: var(--wash); stroke: var(--soft); stroke-width: 1; } .granted { fill: var(--c0); }
.unknown { fill: var(--c0); opacity: .35; }
.masked { fill: var(--open); } .period { fill: var(--accent); opacity: .1; } .grid { stroke: var(--line);
  stroke-width: 1; }
.known { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 3 3; } .tick { stroke: var(--soft); }
svg .label { font-size: 11.5px; fill: var(--soft); } .given { fill: var(--ink); stroke: var(--paper);
  stroke-width: 1; }
.revoked { stroke: var(--bad); stroke-width: 2.6; fill: none; } .retired { fill: var(--paper);
  stroke: var(--bad); stroke-width: 2; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.4rem; font-size: .82rem; color: var(--soft);
  margin: .5rem 0 .9rem; }
.legend span { white-space: nowrap; } .legend svg { display: inline-block; vertical-align: -2px; margin-right: .4em; }
details { margin: 0; border-bottom: 1px solid var(--line); padding: .5rem 0; }
summary { cursor: pointer; font-size: .9rem; overflow-wrap: anywhere; }
details table { margin: .6rem 0 .4rem; font-size: .8125rem; } details td { padding-top: .2rem;
  padding-bottom: .2rem; }
td.step { white-space: nowrap; width: 1%; } .outcome { white-space: nowrap; font-weight: 600; width: 1%; }
.outcome.fail { color: var(--bad); } .outcome.pass { color: var(--good); } .outcome.other { color: var(--soft); }
.outcome.open { color: var(--open); }
footer { margin-top: 3rem; padding-top: .75rem; border-top: 1px solid var(--line); font-size: .8125rem;
  color: var(--soft); }
@media (max-width: 40rem) { main { padding: 1.5rem 1rem; } dl.facts { grid-template-columns: 1fr; gap: .1rem; }
  dl.facts dd { margin-bottom: .6rem; } table.grants col.who { width: 45%; } }
@page { size: A4; margin: 17mm 15mm 18mm;
  @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif; color: #56626f; } }
@media print {
  :root { color-scheme: light;
    --paper: #fff; --ink: #16202b; --soft: #4b5661; --line: #cfd5db; --wash: #f4f6f8; --accent: #1c4f7c;
    --good: #17693f; --good-wash: #e5f3eb; --bad: #a8231c; --bad-wash: #fbe9e7; --open: #855a00; --open-wash: #fdf3dc;
    --c0: #2f6db3; --c1: #b3572f; --c2: #3f8f5a; --c3: #8756b0; --c4: #b08a1e; --c5: #2a95a5; --c6: #b3447c;
  --c7: #6c7785; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  html { font-size: 10pt; } main { max-width: none; padding: 0; }
  h2 { break-after: avoid; margin-top: 1.8rem; } h3, .legend, h2 + p { break-after: avoid; }
  h2.page { break-before: page; margin-top: 0; }
  thead { display: table-header-group; } p, li { orphans: 3; widows: 3; }
  .scroll, .graph { overflow: visible; } .graph.wide svg, .graph svg { max-width: 100%; }
  details::details-content { content-visibility: visible; display: block; } summary { list-style: none;
  font-weight: 600; break-after: avoid; }
  details { border-bottom: 0; padding: .25rem 0; } details table { font-size: 7.5pt; line-height: 1.3;
  margin: .2rem 0; }
  details td { padding-top: .08rem; padding-bottom: .08rem; } details .note { font-size: 7.5pt; max-width: none; }
  a { color: inherit; text-decoration: none; }
}
"""
