/** Reports an element's corner in the page, in CSS pixels, whenever the layout may have moved it. */
export function watchCorner(
  element: Element,
  report: (leftCssPx: number, topCssPx: number) => void,
): () => void {
  const observer = new ResizeObserver(() => {
    const box = element.getBoundingClientRect();
    // A hidden tab has no layout; what was aligned before is still right when it comes back.
    if (box.width > 0) report(box.left, box.top);
  });
  observer.observe(element);
  observer.observe(document.body);
  return () => {
    observer.disconnect();
  };
}
