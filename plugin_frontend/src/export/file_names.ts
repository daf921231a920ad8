const MOST_CHARACTERS = 60;

/** Parts of a view's name as a file name that no file system objects to. */
export function fileNameOf(parts: readonly string[], ending: string): string {
  const plain = parts.map((part) =>
    part
      .replaceAll(/[^A-Za-z0-9._-]+/gu, '_')
      .replaceAll(/^[._]+|[._]+$/gu, '')
      .slice(0, MOST_CHARACTERS),
  );
  return `${plain.filter((part) => part !== '').join('-') || 'gradhealth'}.${ending}`;
}

/** Has the browser save what is behind a URL. */
export function save(url: string, name: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}
