// @vitest-environment jsdom
// What is begun before the console's own script: the theme, the outline, and the first questions.

import { readFileSync } from 'node:fs';
import { cleanup, render } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { api } from '../api/client';
import { takeBegun } from '../begun';
import { Begins } from '../ui/Begins';

const root = document.documentElement;
const asked = vi.fn((path: string, init: RequestInit) => {
  void path;
  void init;
  return Promise.resolve(Response.json({ name: 'asked' }));
});

async function begin(path: string, hasSession: boolean): Promise<void> {
  history.replaceState({}, '', path);
  document.head.innerHTML = '<meta name="tallygate" />';
  const told = JSON.stringify({ nonce: 'n', version: '1', hasSession });
  document.querySelector('meta')?.setAttribute('content', told);
  vi.resetModules(); // it runs where it is loaded
  // @ts-expect-error: a classic script exports nothing
  await import('../begin');
}

beforeEach(() => {
  // Where it gives up what nobody took, no test's end may wait for it.
  vi.useFakeTimers();
  vi.stubGlobal('fetch', asked);
});

afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  asked.mockClear();
  localStorage.clear();
  sessionStorage.clear();
  globalThis.tallygateBegun = undefined;
  delete root.dataset['begins'];
});

test('a chosen theme is there before the first paint', async () => {
  localStorage.setItem('tallygate.theme', 'dark');
  await begin('/', false);
  expect(root.dataset['theme']).toBe('dark');
  localStorage.setItem('tallygate.theme', 'light');
  await begin('/', false);
  expect(root.dataset['theme']).toBe('light');
});

test('signed out, nothing is asked and no frame is promised', async () => {
  await begin('/console/overview', false);
  expect(asked).not.toHaveBeenCalled();
  expect(root.dataset['begins']).toBeUndefined();
});

test('with a session it is asked whose it is, and on the overview what goes on', async () => {
  await begin('/console/keys', true);
  expect(asked.mock.calls.map(([path]) => path)).toEqual(['/api/session']);
  expect(root.dataset['begins']).toBe('framed');
  await begin('/console/overview', true);
  expect(asked.mock.calls.at(-1)?.[0]).toBe('/api/usage/overview/live');
});

test('an admin token is asked with', async () => {
  sessionStorage.setItem('tallygate.adminToken', 'a-token');
  await begin('/', false);
  expect(asked.mock.calls[0]?.[1].headers).toEqual({ 'X-Admin-Token': 'a-token' });
});

test('the console takes the answer once, and asks for itself after that', async () => {
  await begin('/', true);
  await api.get('/api/session');
  expect(asked).toHaveBeenCalledTimes(1);
  await api.get('/api/session');
  expect(asked).toHaveBeenCalledTimes(2);
});

test('what was begun ends with whoever took it, or by itself where nobody did', async () => {
  await begin('/console/overview', true);
  const [session, stream] = asked.mock.calls.map(([, init]) => init.signal);
  const taker = new AbortController();
  void takeBegun('/api/usage/overview/live', taker.signal);
  vi.runAllTimers();
  expect([session?.aborted, stream?.aborted]).toEqual([true, false]);
  expect(takeBegun('/api/session')).toBeNull();
  taker.abort();
  expect(stream?.aborted).toBe(true);
});

test('the outline of the page is the one that the console goes on with', () => {
  const html = readFileSync('index.html', 'utf-8');
  const page = new DOMParser().parseFromString(html, 'text/html');
  const { container } = render(<Begins />);
  const shapeOf = (within: ParentNode): string | undefined =>
    within
      .querySelector('.begins')
      ?.outerHTML.replace(/ src="[^"]*"/g, '')
      .replace(/\s+(?=<)/g, '');
  expect(shapeOf(page)).toContain('Tallygate');
  expect(shapeOf(container)).toBe(shapeOf(page));
});
