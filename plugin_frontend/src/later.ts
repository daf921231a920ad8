import rail from './styles/rail.css?inline';
import findings from './styles/findings.css?inline';
import drill from './styles/drill.css?inline';
import exponents from './styles/exponents.css?inline';
import exporting from './styles/export.css?inline';
import help from './styles/help.css?inline';
import lines from './styles/lines.css?inline';
import second from './styles/second.css?inline';
import marks from './styles/marks.css?inline';
import tips from './styles/tips.css?inline';

export { AlertFeed } from './alerts/alert_feed.ts';
export { AlertMarks } from './alerts/marks_view.tsx';
export { AlertRail } from './alerts/rail.tsx';
export { FirstHeading, Hairline, Second } from './compare.tsx';
export { prepareChart } from './drill/chart_view.tsx';
export { DrillDown } from './drill/drill_down.tsx';
export { ExportItems } from './export/items.tsx';
export { BesideFeed } from './findings/beside_feed.ts';
export { Findings } from './findings/findings.ts';
export { HelpDialog } from './help_dialog.tsx';
export { Minimap } from './minimap.tsx';
export { OverviewRows } from './overview/rows.tsx';
export { RegexSearch } from './regex_search.ts';
export { Strip } from './strip.tsx';
export { Tips } from './tips.tsx';

export const styles = [tips, rail, findings, marks, lines, drill, exponents, second, exporting, help].join(
  '',
);
