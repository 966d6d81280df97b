// Which page stands behind which address. Every page is fetched when it is first opened.

import { createBrowserRouter, Navigate, type RouteObject } from 'react-router';
import { PAGES } from './api/urls';
import { pages } from './pages';
import type { PageEntry } from './pages/registry';
import { Begins } from './ui/Begins';
import { Home } from './ui/Home';
import { Layout } from './ui/Layout';
import { NotFound } from './ui/NotFound';
import { PageFailed } from './ui/PageFailed';
import { Walled } from './ui/Walled';

function routesOf(page: PageEntry): RouteObject[] {
  const path = PAGES[page.name];
  const paths = [path, ...(page.below ?? []).map((one) => `${path}/${one}`)];
  return [...paths, ...(page.aliases ?? [])].map((one) => ({
    path: one,
    handle: page,
    lazy: async () => {
      const { default: Page } = await page.load();
      return {
        Component: () => (
          <Walled page={page}>
            <Page />
          </Walled>
        ),
      };
    },
    ErrorBoundary: PageFailed,
  }));
}

export function makeRouter() {
  return createBrowserRouter([
    {
      path: '/',
      Component: Layout,
      ErrorBoundary: PageFailed,
      HydrateFallback: Begins,
      children: [
        { index: true, Component: Home },
        { path: 'admin', element: <Navigate to={PAGES.overview} replace /> },
        { path: 'console', Component: Home },
        ...pages.flatMap(routesOf),
        { path: '*', Component: NotFound },
      ],
    },
  ]);
}
