"""The style sheet of a report, light and dark."""

from __future__ import annotations

PAGE_STYLE = """\
:root { color-scheme: light dark; --paper: #fff; --ink: #1b2026; --muted: #56606b; --line: #d8dde3; --soft: #f4f6f8;
  --link: #005a8f; --bad: #9c3a00; --bad-soft: #fdf2eb; }
@media (prefers-color-scheme: dark) { :root { --paper: #0f1318; --ink: #e6e9ec; --muted: #9da7b2; --line: #2c343d;
  --soft: #171d23; --link: #74bdf0; --bad: #ff9d66; --bad-soft: #281a12; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", Roboto,
  "Helvetica Neue", "Noto Sans", "Liberation Sans", Arial, sans-serif; overflow-wrap: break-word; }
main { max-width: 1160px; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; }
h1 { font-size: clamp(1.6rem, 4vw, 2.3rem); line-height: 1.15; letter-spacing: -.02em; margin: 0 0 .75rem; }
h2 { font-size: 1.4rem; line-height: 1.25; letter-spacing: -.01em; margin: 3rem 0 .75rem; }
h3 { font-size: 1.05rem; line-height: 1.3; margin: 1.75rem 0 .5rem; }
p { margin: 0 0 .75rem; max-width: 70ch; white-space: pre-line; }
header p { font-size: 1.1rem; color: var(--muted); }
a { color: var(--link); }
code, pre { font: .88em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
.origin { background: var(--soft); border: 1px solid var(--line); border-radius: 10px; padding: .9rem 1.1rem;
  margin-top: 1.5rem; font-size: .9rem; }
.origin dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .35rem 1.25rem; margin: 0; }
.origin dt { color: var(--muted); }
.origin dt::first-letter { text-transform: uppercase; }
.origin dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.origin code { font-size: .95em; }
.pair { display: inline-block; margin-right: 1rem; }
.pair b { font-weight: 400; color: var(--muted); }
.panels { display: grid; gap: 0 2rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); }
.panels.few { grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); }
.panels.lone { display: block; }
figure { margin: 0 0 1rem; min-width: 0; }
figure.wide { grid-column: 1 / -1; }
figcaption { color: var(--muted); font-size: .9rem; margin-top: .5rem; max-width: 70ch; }
figure :is(h2, h3) { font-size: 1.05rem; margin-top: 1rem; }
img { display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
  border-radius: 8px; }
video { display: block; width: 100%; height: auto; background: #000; border-radius: 8px; }
.scroll { overflow-x: auto; margin: 0 0 1.25rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .42rem .9rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { font-weight: 600; color: var(--muted); border-bottom: 2px solid var(--line); vertical-align: bottom; }
tbody th { font-weight: 500; }
th:first-child { position: sticky; left: 0; background: var(--paper); padding-left: 0; max-width: 50vw; }
.number { text-align: right; }
td.number { white-space: nowrap; }
.failures { border-left: 4px solid var(--bad); background: var(--bad-soft); border-radius: 0 8px 8px 0;
  padding: .9rem 1.1rem; margin: 2rem 0; }
.failures > :first-child { margin-top: 0; color: var(--bad); }
.failures > :last-child, .failures dd:last-child { margin-bottom: 0; }
.failures dt { font-weight: 600; }
.failures dd { margin: 0 0 .75rem; }
.failures pre { overflow-x: auto; margin: .5rem 0; }
nav { border-bottom: 1px solid var(--line); padding: .75rem 1.25rem; font-size: .9rem; max-height: 9.5rem;
  overflow-y: auto; scrollbar-width: thin; }
nav ol { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; }
nav .level-3 { display: none; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
@media (min-width: 1280px) {
  .listed { display: grid; grid-template-columns: 250px minmax(0, 1fr); }
  nav { position: sticky; top: 0; height: 100vh; max-height: none; border: 0; border-right: 1px solid var(--line);
    padding: 2.75rem 1rem 2rem 1.5rem; }
  nav ol { display: block; }
  nav .level-2 { margin: .9rem 0 .3rem; font-weight: 600; }
  nav .level-3 { display: block; margin: .3rem 0; padding-left: .8rem; }
  nav .level-3 a { color: var(--muted); }
}
@media (min-width: 800px) {
  .lone .chart { display: grid; grid-template-columns: minmax(0, 520px) minmax(0, 1fr); column-gap: 2rem;
    grid-template-rows: auto auto 1fr; }
  .lone .chart > :is(h2, h3) { grid-column: 1 / -1; }
  .lone .chart > svg { grid-row: 2 / 4; }
  .lone .legend { flex-direction: column; margin-top: 1rem; }
}
@media (max-width: 560px) {
  table { width: max-content; }
  th, td { max-width: 24ch; }
  .origin dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  .origin dd { margin-bottom: .5rem; }
}
@media print { figure, tr, .failures { break-inside: avoid; } nav { display: none; } .listed { display: block; } }
"""
