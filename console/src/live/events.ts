// Server-sent events, read out of bytes as they come. Ours are read by fetch, not by EventSource,
// which can send no header and hides why a stream ended.

export interface ServerEvent {
  readonly name: string;
  readonly data: string;
}

/** Feed it text in pieces of any size; it calls back for each whole event. */
export function makeEventReader(onEvent: (event: ServerEvent) => void): (text: string) => void {
  let rest = '';
  let name = '';
  let data: string[] = [];
  const take = (line: string): void => {
    if (line === '') {
      if (data.length > 0) onEvent({ name: name || 'message', data: data.join('\n') });
      name = '';
      data = [];
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment: somebody is there
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') name = value;
    if (field === 'data') data.push(value);
  };
  return (text) => {
    // A carriage return at the end may be half of a line's end.
    const whole = rest + text;
    const held = whole.endsWith('\r') ? 1 : 0;
    const lines = whole.slice(0, whole.length - held).split(/\r\n|\n|\r/);
    rest = (lines.pop() ?? '') + (held ? '\r' : '');
    lines.forEach(take);
  };
}
