import { countsOf, summaryOf } from '../alerts/alerts.ts';
import { GRADES, type Grade } from '../alerts/kinds.ts';
import { Icon } from '../alerts/toggle.tsx';
import { formatCount } from '../format.ts';

/** How many there are of each grade: shapes for the eye, words for a screen reader. */
export function Counts({ of }: { of: readonly { readonly severity: Grade }[] }) {
  const counts = countsOf(of);
  return (
    <span class="counts" title={summaryOf(counts)} data-testid="counts">
      {GRADES.filter((grade) => counts[grade] > 0).map((grade) => (
        <span key={grade}>
          <Icon severity={grade} />
          {formatCount(counts[grade])}
          <span class="visually-hidden"> {grade} </span>
        </span>
      ))}
    </span>
  );
}
