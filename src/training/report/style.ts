/** The report's style sheet: light or dark as the reader has it. */
export const style = `
:root { --ink: #1c2733; --soft: #5d6b7a; --paper: #fff; --card: #f5f7f9; --line: #d9e0e6; --first: #2864b4; --peer: #9fb2c8; --wrong: #c5493b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4eaf0; --soft: #9aa9b8; --paper: #12181f; --card: #1b232c; --line: #33404d; --first: #6aa6f0; --peer: #4f6276; --wrong: #e27a6b; }
}
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto; max-width: 1020px; padding: 24px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 20px; margin: 36px 0 6px; } h3 { font-size: 16px; margin: 22px 0 6px; }
p { margin: 4px 0 10px; max-width: 75ch; } .note, figcaption { color: var(--soft); font-size: 13px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; background: var(--card); padding: 12px 16px; border-radius: 8px; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 4px 10px; border-bottom: 1px solid var(--line); } th { color: var(--soft); font-weight: 600; }
td.number, th.number { text-align: right; } tr.first td { font-weight: 600; } td { white-space: nowrap; vertical-align: top; } td small { color: var(--soft); font-weight: 400; display: block; font-size: 11px; }
.charts { display: flex; flex-wrap: wrap; gap: 16px; } figure { margin: 8px 0; flex: 0 1 478px; background: var(--card); border-radius: 8px; padding: 12px; }
figure.wide { flex: 1 1 100%; } svg { width: 100%; height: auto; display: block; } svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
svg text.name { font-size: 11px; paint-order: stroke; stroke: var(--card); stroke-width: 3px; } svg .grid { stroke: var(--line); } svg .whisker { stroke: var(--ink); stroke-width: 1.5; }
svg .first rect { fill: var(--first); } svg .peer rect { fill: var(--peer); } svg .frame { fill: none; stroke: var(--line); }
svg rect.right { fill: var(--first); } svg rect.wrong { fill: var(--wrong); }
.key { white-space: nowrap; margin-right: 8px; } .key i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 4px; } .key i.right { background: var(--first); } .key i.wrong { background: var(--wrong); }
details { margin: 8px 0; } summary { cursor: pointer; color: var(--first); } .scroll { overflow-x: auto; }
`;
