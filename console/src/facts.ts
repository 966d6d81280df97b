// What the server writes into the page that it serves, so that the first paint asks for nothing.

export interface Facts {
  /** What this answer's policy lets style elements be known by. */
  readonly nonce: string;
  readonly version: string;
  /** Whether this browser sent a session's cookie; whether it is still good is asked. */
  readonly hasSession: boolean;
}

function read(): Facts {
  const content = document.querySelector('meta[name="tallygate"]')?.getAttribute('content');
  const given = JSON.parse(content ?? '{}') as Partial<Facts>; // our own server wrote it
  return { nonce: '', version: 'dev', hasSession: true, ...given };
}

export const facts = read();
