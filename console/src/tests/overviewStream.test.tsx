// @vitest-environment jsdom
// The overview over its stream: shown as it comes, and honest about not being current.

import { QueryClientProvider } from '@tanstack/react-query';
import { cleanup, render, screen } from '@testing-library/react';
import { MemoryRouter } from 'react-router';
import { afterEach, expect, test, vi } from 'vitest';
import { makeQueryClient } from '../api/queries';
import { AuthContext } from '../auth/session';
import Overview from '../pages/overview/Overview';

const FIGURES = {
  ...{ uses: 1234, errors: 0, refused: 0, error_rate: 0, mean_ms: null },
  ...{ input_tokens: 0, output_tokens: 0, total_tokens: 0, cached_tokens: 0 },
  ...{ points: 0, points_micros: '0' },
};
const OVERVIEW = {
  ...{ zone: 'UTC', from: '', to: '', is_complete: true, active_keys: 2 },
  ...{ charged_elsewhere: 0, charged_elsewhere_micros: 0 },
  ...{ today: FIGURES, yesterday: FIGURES, trend: [], hours: [] },
  ...{ top_tokens: [], top_routes: [], top_models: [] },
};

/** A server whose stream says what it is told to; everything else is an empty list. */
function serve(): (text: string) => void {
  const encoder = new TextEncoder();
  let pipe: ReadableStreamDefaultController<Uint8Array> | undefined;
  vi.stubGlobal('fetch', (path: string) => {
    if (!path.endsWith('/live')) {
      return Promise.resolve(Response.json({ items: [], total: 1, next: null }));
    }
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        pipe = controller;
      },
    });
    return Promise.resolve(new Response(body));
  });
  return (text) => pipe?.enqueue(encoder.encode(text));
}

function show(): void {
  const auth = {
    state: { is: 'signedOut', hasExpired: false, was: null },
    withPassword: vi.fn(),
    withAdminToken: vi.fn(),
    signOut: vi.fn(),
    askAgain: vi.fn(),
  } as const;
  render(
    <QueryClientProvider client={makeQueryClient()}>
      <AuthContext value={auth}>
        <MemoryRouter>
          <Overview />
        </MemoryRouter>
      </AuthContext>
    </QueryClientProvider>,
  );
}

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

test('the overview shows what the stream says, and says when that is not current', async () => {
  const say = serve();
  show();
  await screen.findByText('Live');
  say(`event: overview\ndata: ${JSON.stringify(OVERVIEW)}\n\n`);
  await screen.findByText('1,234');
  expect(screen.queryByText('These numbers are not current.')).toBeNull();

  say('event: behind\ndata: {}\n\n');
  await screen.findByText('These numbers are not current.');
  expect(screen.getByText('1,234')).toBeTruthy();

  const later = { ...OVERVIEW, today: { ...FIGURES, uses: 1235 } };
  say(`event: overview\ndata: ${JSON.stringify(later)}\n\n`);
  await screen.findByText('1,235');
  expect(screen.queryByText('These numbers are not current.')).toBeNull();
});
