// Runs before the page is painted, and before the console's own script is there: chooses the theme,
// shows the frame's outline where somebody is likely signed in, and asks who it is. A classic script
// without imports, of which begun.ts tells the console what has been asked.

(() => {
  const FIRST_MS_MAX = 20_000;
  const root = document.documentElement;
  const kept = (store: () => Storage, name: string): string => {
    try {
      return store().getItem(`tallygate.${name}`) ?? '';
    } catch {
      return ''; // a browser that forbids it
    }
  };
  const theme = kept(() => localStorage, 'theme');
  const isDark =
    theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  root.dataset['theme'] = isDark ? 'dark' : 'light';

  const told = document.querySelector('meta[name="tallygate"]')?.getAttribute('content') ?? '';
  const token = kept(() => sessionStorage, 'adminToken');
  if (!token && !told.includes('"hasSession":true')) return;
  root.dataset['begins'] = 'framed';
  const begin = (path: string): void => {
    const stop = new AbortController();
    const headers: Record<string, string> = token ? { 'X-Admin-Token': token } : {};
    const answer = fetch(path, { headers, credentials: 'same-origin', signal: stop.signal });
    answer.catch(() => undefined); // told to whoever takes it
    const untaken = setTimeout(() => {
      stop.abort();
    }, FIRST_MS_MAX);
    (globalThis.tallygateBegun ??= {})[path] = { answer, stop, untaken };
  };
  begin('/api/session');
  if (location.pathname === '/console/overview') begin('/api/usage/overview/live');
})();
