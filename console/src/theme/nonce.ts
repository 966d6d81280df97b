// Lets the few style elements through that Ant Design writes without its nonce (it measures scroll
// bars and locks scrolling behind a dialog so). Only our own scripts run here at all.

export function bearNonce(nonce: string): void {
  if (!nonce) return;
  const create = document.createElement.bind(document);
  const bearing = (tag: string, options?: ElementCreationOptions): HTMLElement => {
    const made = create(tag, options);
    if (made instanceof HTMLStyleElement) made.nonce = nonce;
    return made;
  };
  document.createElement = bearing as typeof document.createElement; // its overloads are per tag
}
