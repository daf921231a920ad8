interface Props<T extends string> {
  /** What the choice is of, for screen readers. */
  label: string;
  testId: string;
  options: readonly { readonly name: T; readonly label: string; readonly title?: string }[];
  chosen: T;
  choose: (name: T) => void;
}

/** One of a few, as buttons side by side. */
export function Switch<T extends string>({ label, testId, options, chosen, choose }: Props<T>) {
  return (
    <div class="segments" role="radiogroup" aria-label={label} data-testid={testId}>
      {options.map((option) => (
        <label key={option.name} title={option.title}>
          <input
            type="radio"
            name={testId}
            value={option.name}
            checked={option.name === chosen}
            data-testid={`drill-${option.name}`}
            onChange={() => {
              choose(option.name);
            }}
          />
          <span>{option.label}</span>
        </label>
      ))}
    </div>
  );
}
