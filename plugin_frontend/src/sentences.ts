import type { Fault, Note, Session } from './contract.ts';
import { formatAmount, formatCount, formatMoment, plural, shortened } from './format.ts';
import type { Look, Mark } from './marks.ts';

const MOST_TENSORS = 4;
const MOST_SENTENCES = 6;
const NAME_CHARACTERS = 80;

/** What happened, in plain words. Names come from files: the sentence is text, never markup. */
export function sentenceOf(mark: Mark): string {
  return 'note' in mark ? noteSentence(mark.note) : sessionSentence(mark.session, mark.before);
}

/** A sentence for each of the first marks, and how many more there are. */
export function sentencesOf(marks: readonly Mark[]): string[] {
  const shown = marks.length > MOST_SENTENCES ? marks.slice(0, MOST_SENTENCES - 1) : marks;
  const more = marks.length - shown.length;
  return [...shown.map(sentenceOf), ...(more > 0 ? [`and ${formatCount(more)} more: click to zoom in`] : [])];
}

function noteSentence(note: Note): string {
  const value = (name: string) => note.values.get(name);
  const step = `Step ${formatCount(note.step)}`;
  switch (note.kind) {
    case 'skipped': {
      const scale = value('loss_scale');
      const at = scale === undefined ? '' : ` at loss scale ${formatAmount(scale)}`;
      return `${step}: skipped by the GradScaler${at}${nonFinite(note)}`;
    }
    case 'not_stepped': {
      const norm = value('norm');
      const size = norm === undefined ? '' : ` (norm ${formatAmount(norm)})`;
      return `${step}: gradients dropped by zero_grad without a step${size}${nonFinite(note)}`;
    }
    case 'diverged': {
      const tensors = listed(note, (fault) => shortened(fault.name, NAME_CHARACTERS));
      return `${step}: copies differ between ranks${tensors === '' ? '' : `: ${tensors}`}`;
    }
    case 'omitted':
      return `From step ${formatCount(note.step)} on: ${furtherNotes(value('count') ?? 0)} found no room in the file`;
    default: {
      const figures = [...note.values].slice(0, MOST_TENSORS);
      const words = figures.map(
        ([name, figure]) => `${shortened(name, NAME_CHARACTERS)} ${formatAmount(figure)}`,
      );
      const kind = shortened(note.kind, NAME_CHARACTERS);
      return `${step}: ${kind}${words.length > 0 ? ` (${words.join(', ')})` : ''}${nonFinite(note)}`;
    }
  }
}

function furtherNotes(count: number): string {
  return `${formatAmount(count)} further ${count === 1 ? 'note' : 'notes'}`;
}

function nonFinite(note: Note): string {
  const tensors = listed(note, (fault) => `${shortened(fault.name, NAME_CHARACTERS)}${countsOf(fault)}`);
  return tensors === '' ? '' : `. Non-finite: ${tensors}`;
}

function countsOf({ nan, pos_inf, neg_inf }: Fault): string {
  const counts = [
    nan > 0 ? `NaN ${formatCount(nan)}` : '',
    pos_inf > 0 ? `+Inf ${formatCount(pos_inf)}` : '',
    neg_inf > 0 ? `-Inf ${formatCount(neg_inf)}` : '',
  ].filter((count) => count !== '');
  return counts.length > 0 ? ` (${counts.join(', ')})` : '';
}

/** The first tensors of a note, and how many more it is about. */
function listed({ tensors, more }: Note, words: (fault: Fault) => string): string {
  const shown = tensors.slice(0, MOST_TENSORS).map(words).join(', ');
  const rest = tensors.length - Math.min(tensors.length, MOST_TENSORS) + more;
  if (rest === 0) return shown;
  return shown === '' ? plural(rest, 'tensor') : `${shown} and ${formatCount(rest)} more`;
}

function sessionSentence(session: Session, before: Session): string {
  const moment = formatMoment(session.wall_time);
  const when = moment === null ? '' : ` (session of ${moment})`;
  const start = formatCount(session.start);
  if (session.start >= before.stop) return `A new session took over at step ${start}${when}`;
  return `Steps from ${start} on were recorded again: the run went back from step ${formatCount(before.stop)}${when}`;
}

const SUMMARY: readonly [Look, string, string][] = [
  ['diverged', 'divergence between ranks', 'divergences between ranks'],
  ['skipped', 'skipped step', 'skipped steps'],
  ['rewind', 'rewind', 'rewinds'],
  ['resume', 'resume', 'resumes'],
  ['not_stepped', 'set of gradients dropped', 'sets of gradients dropped'],
  ['other', 'other note', 'other notes'],
];

/** All marks in a few words; notes that found no room in the file are counted as such. */
export function summaryOf(marks: readonly Mark[], complete: boolean): string {
  let omitted = 0;
  const counts = new Map<Look, number>();
  for (const mark of marks)
    if ('note' in mark && mark.note.kind === 'omitted') omitted += mark.note.values.get('count') ?? 0;
    else counts.set(mark.look, (counts.get(mark.look) ?? 0) + 1);
  const parts = SUMMARY.flatMap(([look, one, many]) => {
    const count = counts.get(look) ?? 0;
    return count === 0 ? [] : [plural(count, one, many)];
  });
  if (omitted > 0) parts.push(furtherNotes(omitted));
  return `${parts.join(', ')}${complete ? '' : ' and more'}`;
}
